/** The instance's side: bundle keys, the replay filter and the handshake (protocol sections 3.3 and 5.4). */

import { byteAt, concat, readU16, sameBytes, sameSecret, toHex, u8, wipe } from './bytes.js';
import { makeBundle, parseBundle, type Bundle } from './bundle.js';
import { parseContext, isLabel, type Context } from './context.js';
import { ed25519PublicKey } from './ed25519.js';
import { SealwireError, UsageError, type ErrorCode } from './errors.js';
import { FILTER_CAPACITY, MAX_WINDOW, ROTATION, VERSION, type HalfLimits } from './limits.js';
import { Opener } from './opener.js';
import type { Padding } from './padding.js';
import { makeReceipt, type Receipt, type ReceiptBinding } from './receipt.js';
import { Exporter, schedule1, schedule2, sha256, transcript0, transcript1, transcript2 } from './schedule.js';
import { Sealer } from './sealer.js';
import { suiteOf, type KemKey } from './suites.js';

/**
 * Judges as much of H1's header as is there: magic, version, suite and flags (P5.4 step 1).
 * @returns the length of H1 in bytes once its suite is known.
 * @throws SealwireError `bad-magic`, `bad-version`, `bad-suite` or `bad-flags`.
 */
export function checkH1Head(h1: Uint8Array): number | undefined {
  if (h1.length < 2) return undefined;
  if (byteAt(h1, 0) !== 0x53 || byteAt(h1, 1) !== 0x57) throw new SealwireError('bad-magic');
  if (h1.length < 3) return undefined;
  if (byteAt(h1, 2) !== VERSION) throw new SealwireError('bad-version');
  if (h1.length < 5) return undefined;
  const suite = suiteOf(readU16(h1, 3));
  if (suite === undefined) throw new SealwireError('bad-suite');
  if (h1.length < 6) return undefined;
  if (byteAt(h1, 5) !== 0) throw new SealwireError('bad-flags');
  return suite.h1Bytes;
}

/** One bundle, its private key and what was accepted under it. */
interface HeldKey {
  readonly bundle: Bundle;
  readonly key: KemKey;
  /** `SHA-256(H1)[0..16]` of every accepted H1, exact; dies with the key. */
  readonly seen: Set<string>;
  /** When the key was made, on a monotonic clock, milliseconds. */
  readonly made: number;
}

/** Options of an {@link Instance}. */
export interface InstanceOptions {
  /** Ed25519 private key of the instance, 32 bytes. */
  readonly identitySeed: Uint8Array;
  /** H1 accepted under one multi-use key (default 65,536). */
  readonly filterCapacity?: number;
  /** Single-use keys that may be alive for each label (default 1,024, H-23). */
  readonly singleUseCapacity?: number;
  /** Wall clock in unix seconds, for the windows of bundles. */
  readonly now?: () => bigint;
  /** Monotonic clock in milliseconds, for the life of keys (B-13). */
  readonly monotonic?: () => number;
}

/** Options of {@link Instance.accept}. */
export interface AcceptOptions {
  /** False if all streams are taken: `busy` before decapsulation. */
  readonly capacity?: boolean;
  /** Padding of s2c; default "none". */
  readonly padding?: Padding;
  readonly limits?: Partial<HalfLimits>;
  /** Coins from outside, for test vectors only. @internal */
  readonly coins?: Uint8Array;
  /** For test vectors: runs between steps 4 and 6. @internal */
  readonly beforeAdmit?: () => void;
}

/**
 * Holds bundle keys and accepts handshakes. Everything is in this process's memory; nothing is stored (B-15).
 * Calls are synchronous, so a filter entry and a single-use key are taken atomically.
 */
export class Instance {
  /** Ed25519 public key. */
  readonly identity: Uint8Array;
  readonly #seed: Uint8Array;
  readonly #filterCapacity: number;
  readonly #singleUseCapacity: number;
  readonly #now: () => bigint;
  readonly #monotonic: () => number;
  readonly #keys = new Map<string, HeldKey>();

  /** @throws UsageError if the seed has not 32 bytes. */
  constructor(options: InstanceOptions) {
    this.#seed = options.identitySeed.slice();
    this.identity = ed25519PublicKey(this.#seed);
    this.#filterCapacity = options.filterCapacity ?? FILTER_CAPACITY;
    this.#singleUseCapacity = options.singleUseCapacity ?? 1_024;
    this.#now = options.now ?? (() => BigInt(Math.floor(Date.now() / 1000)));
    this.#monotonic = options.monotonic ?? (() => performance.now());
  }

  /**
   * Erases every key that is 1,200 s old (B-13). Happens on every use too; call it from a timer as well.
   * @param ahead milliseconds until the next call: keys that would become too old meanwhile are erased now.
   */
  sweep(ahead = 0): void {
    for (const held of this.#keys.values()) {
      if (this.#monotonic() + ahead - held.made >= MAX_WINDOW * 1000) this.#drop(held);
    }
  }

  /**
   * The current multi-use bundle of a label and suite; a new one every 600 s, while the one before lives on.
   * @throws UsageError for no label or an unknown suite.
   */
  bundle(label: Uint8Array, suite: number): Uint8Array {
    this.sweep();
    const young = [...this.#keys.values()].find(
      (held) =>
        !held.bundle.singleUse &&
        held.bundle.suite.id === suite &&
        sameBytes(held.bundle.label, label) &&
        this.#monotonic() - held.made < ROTATION * 1000,
    );
    return (young ?? this.#make(label, suite, false)).bundle.bytes;
  }

  /**
   * A new single-use bundle, to be handed out once.
   * @returns undefined if the bound on living single-use keys is reached (`busy`).
   * @throws UsageError for no label or an unknown suite.
   */
  singleUseBundle(label: Uint8Array, suite: number): Uint8Array | undefined {
    this.sweep();
    let alive = 0;
    for (const held of this.#keys.values()) if (held.bundle.singleUse && sameBytes(held.bundle.label, label)) alive += 1;
    return alive >= this.#singleUseCapacity ? undefined : this.#make(label, suite, true).bundle.bytes;
  }

  /**
   * Takes a bundle that exists already with its key, for test vectors.
   * @throws SealwireError if the bundle is none. @internal
   */
  adopt(bundle: Uint8Array, kemCoins: Uint8Array): void {
    const parsed = parseBundle(bundle);
    this.#hold(parsed, parsed.suite.generate(kemCoins));
  }

  /** Erases the key of a bundle, if it is held. */
  discard(bundleId: Uint8Array): void {
    const held = this.#keys.get(toHex(bundleId));
    if (held !== undefined) this.#drop(held);
  }

  /**
   * Accepts H1, in the order of section 5.4.
   * @param context the context's bytes as they came. @param h1 exactly H1.
   * @throws SealwireError `bad-magic`, `bad-version`, `bad-suite`, `bad-flags`, `truncated`, `trailing-data`,
   * `key-unknown`, `suite-mismatch`, `bad-context`, `label-mismatch`, `busy`, `confirm-failed`, `replayed` or
   * `bad-client-key`. Towards relay and client most of them are `refused` (S-13): see `relayCodeOf`.
   */
  accept(context: Uint8Array, h1: Uint8Array, options: AcceptOptions = {}): InstanceStream {
    const fail = (code: ErrorCode): never => {
      throw new SealwireError(code);
    };
    this.sweep();
    const length = checkH1Head(h1);
    if (length === undefined || h1.length < length) return fail('truncated');
    if (h1.length > length) return fail('trailing-data');
    const held = this.#keys.get(toHex(h1.subarray(6, 22)));
    if (held === undefined) return fail('key-unknown');
    const { bundle } = held;
    const { suite } = bundle;
    if (readU16(h1, 3) !== suite.id) return fail('suite-mismatch');
    const parsed = parseContext(context);
    if (!sameBytes(parsed.label, bundle.label)) return fail('label-mismatch');
    if (options.capacity === false) return fail('busy');

    const clientKeyAt = 22 + suite.ciphertextBytes;
    const head = h1.subarray(0, h1.length - 32);
    const ssS = held.key.decapsulate(h1.subarray(22, clientKeyAt));
    if (ssS === undefined) return fail('confirm-failed');
    const th0 = transcript0(suite.id, bundle.bytes, parsed.bytes);
    const th1 = transcript1(th0, head);
    const first = schedule1(th0, th1, ssS);
    wipe(ssS, first.prk1);
    const confirmed = sameSecret(first.confirm1, h1.subarray(head.length));
    const forget = (code: ErrorCode): never => {
      wipe(first.confirm1, first.tsC2s0, first.derived);
      return fail(code);
    };
    if (!confirmed) return forget('confirm-failed');

    options.beforeAdmit?.();
    if (!this.#admit(held, h1)) return forget('replayed');
    const encapsulated = suite.encapsulate(h1.subarray(clientKeyAt, head.length), options.coins);
    if (encapsulated === undefined) return forget('bad-client-key');
    const h2Head = concat(u8(VERSION), u8(0), encapsulated.ciphertext);
    const th2 = transcript2(th1, first.confirm1, h2Head);
    const second = schedule2(first.derived, th2, encapsulated.secret);
    wipe(encapsulated.secret, first.derived, second.prk2);
    const limits = options.limits ?? {};
    return new InstanceStream(
      concat(h2Head, second.confirm2),
      new Opener({ half: 'c2s', secret: first.tsC2s0, lateSecret: second.tsC2s1, limits }),
      new Sealer({ half: 's2c', secret: second.tsS2c0, limits, ...(options.padding === undefined ? {} : { padding: options.padding }) }),
      new Exporter(second.exporter),
      bundle,
      parsed,
      th2,
      this.#seed,
    );
  }

  /** Step 6: false if the H1 is in the filter already, or the key has been taken meanwhile. */
  #admit(held: HeldKey, h1: Uint8Array): boolean {
    if (this.#keys.get(toHex(held.bundle.id)) !== held) return false;
    if (held.bundle.singleUse) {
      this.#drop(held);
      return true;
    }
    const entry = toHex(sha256(h1).subarray(0, 16));
    if (held.seen.has(entry)) return false;
    held.seen.add(entry);
    if (held.seen.size >= this.#filterCapacity) this.#drop(held);
    return true;
  }

  #make(label: Uint8Array, suiteId: number, singleUse: boolean): HeldKey {
    const suite = suiteOf(suiteId);
    if (suite === undefined || !isLabel(label)) throw new UsageError('no label or suite of a bundle');
    const key = suite.generate();
    const notBefore = this.#now();
    const bytes = makeBundle(this.#seed, {
      suite,
      singleUse,
      notBefore,
      notAfter: notBefore + BigInt(MAX_WINDOW),
      label,
      kemKey: key.publicKey,
    });
    return this.#hold(parseBundle(bytes), key);
  }

  #hold(bundle: Bundle, key: KemKey): HeldKey {
    const held = { bundle, key, seen: new Set<string>(), made: this.#monotonic() };
    this.#keys.set(toHex(bundle.id), held);
    return held;
  }

  #drop(held: HeldKey): void {
    this.#keys.delete(toHex(held.bundle.id));
    held.key.erase();
    held.seen.clear();
  }
}

/** The stream after an accepted handshake. Send `h2` before anything of c2s is read (S-11). */
export class InstanceStream {
  readonly h2: Uint8Array;
  /** Opens c2s. */
  readonly opener: Opener;
  /** Seals s2c. */
  readonly sealer: Sealer;
  readonly exporter: Exporter;
  readonly bundle: Bundle;
  readonly context: Context;
  /** What receipts of this stream are bound to. */
  readonly binding: ReceiptBinding;
  readonly #seed: Uint8Array;
  #receipts = 0;

  /** Made by {@link Instance.accept}. */
  constructor(
    h2: Uint8Array,
    opener: Opener,
    sealer: Sealer,
    exporter: Exporter,
    bundle: Bundle,
    context: Context,
    th2: Uint8Array,
    seed: Uint8Array,
  ) {
    this.h2 = h2;
    this.opener = opener;
    this.sealer = sealer;
    this.exporter = exporter;
    this.bundle = bundle;
    this.context = context;
    this.binding = {
      th2,
      bundleHash: bundle.hash,
      contextHash: sha256(context.bytes),
      requestId: context.requestId,
      attempt: context.attempt,
    };
    this.#seed = seed;
  }

  /**
   * Signs the next receipt and seals it as a PUBLIC frame.
   * @throws SealwireError `exhausted`; UsageError once s2c has ended.
   */
  receipt(fields: Omit<Receipt, keyof ReceiptBinding | 'index'>): void {
    this.sealer.public(makeReceipt(this.#seed, { ...fields, ...this.binding, index: this.#receipts }));
    this.#receipts += 1;
  }

  /** Gives the stream up and erases its keys. */
  close(): void {
    this.opener.close();
    this.sealer.close();
    this.exporter.erase();
  }
}

const REFUSED: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'bad-magic',
  'bad-version',
  'bad-suite',
  'bad-flags',
  'suite-mismatch',
  'bad-context',
  'label-mismatch',
  'confirm-failed',
  'bad-client-key',
  'truncated',
  'trailing-data',
]);

/** What an error of {@link Instance.accept} is on the relay plane (S-13, P8). */
export function relayCodeOf(error: SealwireError): 'refused' | 'key-unknown' | 'busy' | 'replayed' | 'internal' {
  if (REFUSED.has(error.code)) return 'refused';
  const { code } = error;
  return code === 'key-unknown' || code === 'busy' || code === 'replayed' ? code : 'internal';
}
