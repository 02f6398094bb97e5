/** The context that travels in clear beside H1 (protocol section 4), and labels (section 3.1). */

import { concat, lp, randomBytes, readU16, u8, utf8, utf8Text } from './bytes.js';
import { SealwireError, UsageError } from './errors.js';
import { MAX_ATTEMPTS, MAX_BILLING, MAX_CONTEXT, MAX_LABEL } from './limits.js';

const LABEL = 0x01;
const REQUEST_ID = 0x02;
const ATTEMPT = 0x03;
const BILLING = 0x04;

/** Whether bytes can be a label: 1 .. 255 bytes of UTF-8, no byte below 0x20 and no 0x7F (B-2). */
export function isLabel(bytes: Uint8Array): boolean {
  if (bytes.length < 1 || bytes.length > MAX_LABEL) return false;
  for (const byte of bytes) if (byte < 0x20 || byte === 0x7f) return false;
  return utf8Text(bytes) !== undefined;
}

/** A context with its encoding. The bytes are what both ends hash; they are never rebuilt (C-3). */
export interface Context {
  readonly bytes: Uint8Array;
  /** The label's bytes. */
  readonly label: Uint8Array;
  /** 16 random bytes, the same over all attempts of one request. */
  readonly requestId: Uint8Array;
  /** 1 to 8. */
  readonly attempt: number;
  /** An opaque handle for the relay's bill, 1 to 128 bytes. */
  readonly billing: Uint8Array | undefined;
}

/** What a client puts into a context. */
export interface ContextFields {
  /** The label, text or bytes. */
  readonly label: string | Uint8Array;
  /** Default: 16 fresh random bytes. */
  readonly requestId?: Uint8Array;
  /** Default 1. */
  readonly attempt?: number;
  readonly billing?: Uint8Array;
}

/**
 * Makes a context.
 * @throws UsageError if a field is out of its range.
 */
export function makeContext(fields: ContextFields): Context {
  const label = typeof fields.label === 'string' ? utf8(fields.label) : fields.label;
  const requestId = fields.requestId ?? randomBytes(16);
  const attempt = fields.attempt ?? 1;
  if (!isLabel(label)) throw new UsageError('no label: 1 to 255 bytes of UTF-8 without controls');
  if (requestId.length !== 16) throw new UsageError('a request id has 16 bytes');
  if (!Number.isInteger(attempt) || attempt < 1 || attempt > MAX_ATTEMPTS) throw new UsageError('an attempt is 1 to 8');
  const billing = fields.billing;
  if (billing !== undefined && (billing.length < 1 || billing.length > MAX_BILLING)) {
    throw new UsageError('a billing handle has 1 to 128 bytes');
  }
  const bytes = concat(
    u8(LABEL),
    lp(label),
    u8(REQUEST_ID),
    lp(requestId),
    u8(ATTEMPT),
    lp(u8(attempt)),
    ...(billing === undefined ? [] : [u8(BILLING), lp(billing)]),
  );
  return { bytes, label, requestId, attempt, billing };
}

/**
 * Reads a context.
 * @throws SealwireError `bad-context` for every fault (C-1, C-2).
 */
export function parseContext(input: Uint8Array): Context {
  const bad = (): SealwireError => new SealwireError('bad-context');
  if (input.length > MAX_CONTEXT) throw bad();
  const bytes = input.slice();
  const items = new Map<number, Uint8Array>();
  let last = 0;
  for (let at = 0; at < bytes.length;) {
    if (bytes.length - at < 3) throw bad();
    const type = bytes[at] as number;
    const length = readU16(bytes, at + 1);
    at += 3;
    if (type <= last || type > BILLING || bytes.length - at < length) throw bad();
    items.set(type, bytes.subarray(at, at + length));
    last = type;
    at += length;
  }
  const label = items.get(LABEL);
  const requestId = items.get(REQUEST_ID);
  const attempt = items.get(ATTEMPT);
  const billing = items.get(BILLING);
  if (label === undefined || !isLabel(label)) throw bad();
  if (requestId === undefined || requestId.length !== 16) throw bad();
  const count = attempt?.length === 1 ? attempt[0] : undefined;
  if (count === undefined || count < 1 || count > MAX_ATTEMPTS) throw bad();
  if (billing !== undefined && (billing.length < 1 || billing.length > MAX_BILLING)) throw bad();
  return { bytes, label, requestId, attempt: count, billing };
}
