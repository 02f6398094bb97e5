/** Ed25519 as protocol section 2.5 wants it: cofactorless, canonical, no points of small order (K-4). */

import { ed25519 } from '@noble/curves/ed25519.js';
import { sha512 } from '@noble/hashes/sha2.js';
import { concat, sameBytes } from './bytes.js';
import { UsageError } from './errors.js';

const { Point } = ed25519;
type EdPoint = ReturnType<typeof Point.fromBytes>;
const L = Point.Fn.ORDER;

function numberLE(bytes: Uint8Array): bigint {
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i] as number);
  return value;
}

/** A point in its one canonical encoding and not of small order, or undefined. */
function strictPoint(bytes: Uint8Array): EdPoint | undefined {
  try {
    const point = Point.fromBytes(bytes, false);
    if (!sameBytes(point.toBytes(), bytes) || point.isSmallOrder()) return undefined;
    return point;
  } catch {
    return undefined;
  }
}

/**
 * Verifies a signature (P2.5, K-4): refuses S >= L, encodings of A and R that are not canonical, and A and R of
 * small order; checks [S]B = R + [k]A without the cofactor. The library's own `verify` multiplies by the
 * cofactor, so the equation is computed here from its point arithmetic. All inputs are public.
 */
export function verifyEd25519(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== 32 || signature.length !== 64) return false;
  const s = numberLE(signature.subarray(32));
  if (s >= L) return false;
  const a = strictPoint(publicKey);
  const r = strictPoint(signature.subarray(0, 32));
  if (a === undefined || r === undefined) return false;
  const k = numberLE(sha512(concat(signature.subarray(0, 32), publicKey, message))) % L;
  return Point.BASE.multiplyUnsafe(s).equals(r.add(a.multiplyUnsafe(k)));
}

/**
 * The public key of a 32-byte RFC 8032 private key.
 * @throws UsageError if the seed has another length.
 */
export function ed25519PublicKey(seed: Uint8Array): Uint8Array {
  if (seed.length !== 32) throw new UsageError('an Ed25519 seed has 32 bytes');
  return ed25519.getPublicKey(seed);
}

/** Signs a message with a 32-byte RFC 8032 private key. */
export function signEd25519(seed: Uint8Array, message: Uint8Array): Uint8Array {
  if (seed.length !== 32) throw new UsageError('an Ed25519 seed has 32 bytes');
  return ed25519.sign(message, seed);
}
