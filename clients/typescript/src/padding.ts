/** Padding policies of a sender (protocol section 6.5). */

import { UsageError } from './errors.js';
import { MAX_CONTENT } from './limits.js';

/** How much a sender pads each SEALED frame. `fixed` takes 2 .. 16,384 bytes. */
export type Padding = 'none' | 'buckets' | 'padme' | { readonly fixed: number };

/**
 * Throws unless the value is a policy.
 * @throws UsageError
 */
export function checkPadding(policy: Padding): void {
  if (typeof policy === 'string') {
    if (policy === 'none' || policy === 'buckets' || policy === 'padme') return;
  } else if (Number.isInteger(policy.fixed) && policy.fixed >= 2 && policy.fixed <= MAX_CONTENT) {
    return;
  }
  throw new UsageError('no padding policy');
}

/** The longest content of one frame under a policy, bytes. */
export function frameCapacity(policy: Padding): number {
  return typeof policy === 'string' ? MAX_CONTENT : policy.fixed;
}

/**
 * Length of content and zeros together.
 * @param length of the content, 0 to {@link frameCapacity} bytes.
 * @throws UsageError for a longer content, which a sender splits.
 */
export function paddedLength(policy: Padding, length: number): number {
  if (!Number.isInteger(length) || length < 0 || length > frameCapacity(policy)) throw new UsageError('content does not fit a frame');
  if (typeof policy !== 'string') return policy.fixed;
  if (policy === 'none') return length;
  if (policy === 'buckets') {
    let bucket = 64;
    while (bucket < length) bucket *= 2;
    return bucket;
  }
  if (length < 2) return length;
  const e = 31 - Math.clz32(length);
  const s = 32 - Math.clz32(e);
  const m = (1 << (e - s)) - 1;
  return (length + m) & ~m;
}
