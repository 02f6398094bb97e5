/** Bundles and what a client accepts (protocol sections 3.1 and 3.2). */

import { byteAt, concat, lp, readU16, readU64, sameBytes, u16, u64, u8, utf8 } from './bytes.js';
import { isLabel } from './context.js';
import { ed25519PublicKey, signEd25519, verifyEd25519 } from './ed25519.js';
import { SealwireError, UsageError, type ErrorCode } from './errors.js';
import { FLAG_SINGLE_USE, MAX_WINDOW, SKEW, VERSION } from './limits.js';
import { sha256 } from './schedule.js';
import { suiteOf, type Suite } from './suites.js';

const SIGNATURE_LABEL = utf8('sealwire/1 bundle\0');

/** A well-formed, correctly signed bundle. Whether its identity is to be trusted is another question. */
export interface Bundle {
  /** The whole encoding with its signature. */
  readonly bytes: Uint8Array;
  readonly suite: Suite;
  readonly flags: number;
  readonly singleUse: boolean;
  /** Unix seconds. */
  readonly notBefore: bigint;
  /** Unix seconds. */
  readonly notAfter: bigint;
  readonly label: Uint8Array;
  readonly kemKey: Uint8Array;
  /** Ed25519 public key, 32 bytes. */
  readonly identity: Uint8Array;
  readonly signature: Uint8Array;
  /** SHA-256 of the bytes. */
  readonly hash: Uint8Array;
  /** First 16 bytes of the hash. */
  readonly id: Uint8Array;
}

/** What a client demands of a bundle (section 3.2). */
export interface BundlePolicy {
  /** Numbers of the suites that it accepts. */
  readonly suites: readonly number[];
  /** The label that it wants. */
  readonly label: string | Uint8Array;
  /** Whether only single-use bundles will do. */
  readonly singleUseRequired: boolean;
  /**
   * Identity keys that it trusts, 32 bytes each: pins, or the outcome of verified evidence.
   * `trust-any-identity-for-development` accepts every identity, and so gives no security at all.
   */
  readonly identities: readonly Uint8Array[] | 'trust-any-identity-for-development';
}

function fail(code: ErrorCode): never {
  throw new SealwireError(code);
}

/**
 * Reads a bundle and makes all checks of section 3.1, in their order.
 * @throws SealwireError `bundle-version`, `bundle-suite`, `bundle-flags`, `bundle-length`, `bundle-window`,
 * `bundle-label`, `bundle-signature` or `bundle-kem-key`.
 */
export function parseBundle(input: Uint8Array): Bundle {
  const bytes = input.slice();
  if (bytes.length < 1) fail('bundle-length');
  if (byteAt(bytes, 0) !== VERSION) fail('bundle-version');
  if (bytes.length < 3) fail('bundle-length');
  const suite = suiteOf(readU16(bytes, 1));
  if (suite === undefined) fail('bundle-suite');
  if (bytes.length < 4) fail('bundle-length');
  const flags = byteAt(bytes, 3);
  if ((flags & ~FLAG_SINGLE_USE) !== 0) fail('bundle-flags');
  if (bytes.length < 22) fail('bundle-length');
  const notBefore = readU64(bytes, 4);
  const notAfter = readU64(bytes, 12);
  const labelEnd = 22 + readU16(bytes, 20);
  if (bytes.length < labelEnd + 2) fail('bundle-length');
  const keyBytes = readU16(bytes, labelEnd);
  const keyEnd = labelEnd + 2 + keyBytes;
  if (keyBytes !== suite.publicKeyBytes || bytes.length !== keyEnd + 32 + 64) fail('bundle-length');
  if (notBefore >= notAfter || notAfter - notBefore > BigInt(MAX_WINDOW)) fail('bundle-window');
  const label = bytes.subarray(22, labelEnd);
  if (!isLabel(label)) fail('bundle-label');
  const kemKey = bytes.subarray(labelEnd + 2, keyEnd);
  const identity = bytes.subarray(keyEnd, keyEnd + 32);
  const signature = bytes.subarray(keyEnd + 32);
  if (!verifyEd25519(identity, concat(SIGNATURE_LABEL, bytes.subarray(0, keyEnd + 32)), signature)) fail('bundle-signature');
  if (!suite.accepts(kemKey)) fail('bundle-kem-key');
  const hash = sha256(bytes);
  return {
    bytes,
    suite,
    flags,
    singleUse: (flags & FLAG_SINGLE_USE) !== 0,
    notBefore,
    notAfter,
    label,
    kemKey,
    identity,
    signature,
    hash,
    id: hash.subarray(0, 16),
  };
}

const verified = new WeakSet<VerifiedBundle>();
let makeVerified: (bundle: Bundle) => VerifiedBundle;

/** A bundle that passed a client's policy. Only {@link verifyBundle} makes one; handshakes start from nothing else. */
export class VerifiedBundle {
  readonly bundle: Bundle;

  private constructor(bundle: Bundle) {
    this.bundle = bundle;
  }

  static {
    makeVerified = (bundle) => {
      const made = new VerifiedBundle(bundle);
      verified.add(made);
      return made;
    };
  }
}

/** Whether a value came out of {@link verifyBundle}. */
export function isVerified(value: VerifiedBundle): boolean {
  return verified.has(value);
}

/**
 * Puts a bundle through all checks of sections 3.1 and 3.2, wherever it came from.
 * @param now the client's clock, unix seconds (default: the system's).
 * @throws SealwireError as {@link parseBundle}; then `policy-suite`, `label-mismatch`, `policy-single-use`,
 * `clock-skew` or `identity-untrusted`.
 */
export function verifyBundle(input: Uint8Array, policy: BundlePolicy, now: bigint = BigInt(Math.floor(Date.now() / 1000))): VerifiedBundle {
  const bundle = parseBundle(input);
  if (!policy.suites.includes(bundle.suite.id)) fail('policy-suite');
  const label = typeof policy.label === 'string' ? utf8(policy.label) : policy.label;
  if (!sameBytes(bundle.label, label)) fail('label-mismatch');
  if (policy.singleUseRequired && !bundle.singleUse) fail('policy-single-use');
  if (now + BigInt(SKEW) < bundle.notBefore || now > bundle.notAfter + BigInt(SKEW)) fail('clock-skew');
  if (policy.identities !== 'trust-any-identity-for-development' && !policy.identities.some((id) => sameBytes(id, bundle.identity))) {
    fail('identity-untrusted');
  }
  return makeVerified(Object.freeze(bundle));
}

/** What an instance puts into a bundle. */
export interface BundleFields {
  readonly suite: Suite;
  readonly singleUse: boolean;
  /** Unix seconds. */
  readonly notBefore: bigint;
  /** Unix seconds, at most 1,200 after `notBefore`. */
  readonly notAfter: bigint;
  readonly label: Uint8Array;
  readonly kemKey: Uint8Array;
}

/**
 * Makes and signs a bundle.
 * @param identitySeed 32-byte Ed25519 private key of the instance.
 * @throws UsageError if a field is out of its range.
 */
export function makeBundle(identitySeed: Uint8Array, fields: BundleFields): Uint8Array {
  const { suite, notBefore, notAfter, label, kemKey } = fields;
  if (!isLabel(label)) throw new UsageError('no label: 1 to 255 bytes of UTF-8 without controls');
  if (kemKey.length !== suite.publicKeyBytes) throw new UsageError('the KEM key has another length than the suite says');
  if (notBefore < 0n || notBefore >= notAfter || notAfter - notBefore > BigInt(MAX_WINDOW)) throw new UsageError('no window of a bundle');
  const body = concat(
    u8(VERSION),
    u16(suite.id),
    u8(fields.singleUse ? FLAG_SINGLE_USE : 0),
    u64(notBefore),
    u64(notAfter),
    lp(label),
    lp(kemKey),
    ed25519PublicKey(identitySeed),
  );
  return concat(body, signEd25519(identitySeed, concat(SIGNATURE_LABEL, body)));
}
