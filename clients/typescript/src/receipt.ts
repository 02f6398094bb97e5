/** Receipts (protocol section 7). */

import { byteAt, concat, readU16, readU32, readU64, sameBytes, u16, u32, u64, u8, utf8 } from './bytes.js';
import { signEd25519, verifyEd25519 } from './ed25519.js';
import { SealwireError, UsageError } from './errors.js';

const SIGNATURE_LABEL = utf8('sealwire/1 receipt\0');
const SIZE = 218;
const SIGNED = 154;

export const RECEIPT_INTERIM = 1;
export const RECEIPT_FINAL = 2;
export const RECEIPT_REQUEST_COMPLETE = 1;
export const RECEIPT_USAGE_KNOWN = 2;

/** The stream that a receipt is for. */
export interface ReceiptBinding {
  readonly th2: Uint8Array;
  /** SHA-256 of the bundle. */
  readonly bundleHash: Uint8Array;
  /** SHA-256 of the context. */
  readonly contextHash: Uint8Array;
  readonly requestId: Uint8Array;
  readonly attempt: number;
}

/** What a receipt says. Counts are claims of the instance. */
export interface Receipt extends ReceiptBinding {
  /** 1 interim, 2 final. */
  readonly kind: number;
  /** Bit 0: the request was complete; bit 1: the usage is known. */
  readonly flags: number;
  /** HTTP status of the answer, 0 while unknown. */
  readonly status: number;
  readonly index: number;
  readonly tokensIn: bigint;
  readonly tokensOut: bigint;
  /** Part of `tokensIn`. */
  readonly tokensCached: bigint;
  /** Unix seconds. */
  readonly time: bigint;
}

/**
 * Makes and signs a receipt, 218 bytes.
 * @param identitySeed 32-byte Ed25519 private key of the instance.
 * @throws UsageError if a field has a wrong length.
 */
export function makeReceipt(identitySeed: Uint8Array, receipt: Receipt): Uint8Array {
  const body = concat(
    u8(0x01),
    u8(receipt.kind),
    u8(receipt.flags),
    u16(receipt.status),
    u32(receipt.index),
    u64(receipt.tokensIn),
    u64(receipt.tokensOut),
    u64(receipt.tokensCached),
    u64(receipt.time),
    receipt.requestId,
    u8(receipt.attempt),
    receipt.th2,
    receipt.bundleHash,
    receipt.contextHash,
  );
  if (body.length !== SIGNED) throw new UsageError('a field of the receipt has a wrong length');
  return concat(body, signEd25519(identitySeed, concat(SIGNATURE_LABEL, body)));
}

/**
 * Reads a receipt without its signature.
 * @throws SealwireError `bad-receipt` for another length, type, kind or flag.
 */
export function parseReceipt(input: Uint8Array): Receipt {
  const bytes = input.slice();
  const bad =
    bytes.length !== SIZE ||
    bytes[0] !== 0x01 ||
    (bytes[1] !== RECEIPT_INTERIM && bytes[1] !== RECEIPT_FINAL) ||
    (byteAt(bytes, 2) & ~3) !== 0;
  if (bad) throw new SealwireError('bad-receipt');
  return {
    kind: byteAt(bytes, 1),
    flags: byteAt(bytes, 2),
    status: readU16(bytes, 3),
    index: readU32(bytes, 5),
    tokensIn: readU64(bytes, 9),
    tokensOut: readU64(bytes, 17),
    tokensCached: readU64(bytes, 25),
    time: readU64(bytes, 33),
    requestId: bytes.slice(41, 57),
    attempt: byteAt(bytes, 57),
    th2: bytes.slice(58, 90),
    bundleHash: bytes.slice(90, 122),
    contextHash: bytes.slice(122, 154),
  };
}

/** The receipts of one stream, in order, as a client or a relay checks them. */
export class ReceiptVerifier {
  readonly #identity: Uint8Array;
  readonly #binding: ReceiptBinding;
  #last: { index: number; kind: number } | undefined;

  /**
   * @param identity the bundle's identity key. @param binding what this stream's receipts must be bound to.
   * @param last the receipt taken before, if there was one.
   */
  constructor(identity: Uint8Array, binding: ReceiptBinding, last?: { index: number; kind: number }) {
    this.#identity = identity;
    this.#binding = binding;
    this.#last = last;
  }

  /**
   * Checks the next PUBLIC body.
   * @throws SealwireError in the order of section 7: `bad-receipt`, `receipt-signature`, `receipt-mismatch`, `receipt-order`.
   */
  accept(body: Uint8Array): Receipt {
    const receipt = parseReceipt(body);
    const signed = concat(SIGNATURE_LABEL, body.subarray(0, SIGNED));
    if (!verifyEd25519(this.#identity, signed, body.subarray(SIGNED))) throw new SealwireError('receipt-signature');
    const own = this.#binding;
    const matches =
      sameBytes(receipt.th2, own.th2) &&
      sameBytes(receipt.bundleHash, own.bundleHash) &&
      sameBytes(receipt.contextHash, own.contextHash) &&
      sameBytes(receipt.requestId, own.requestId) &&
      receipt.attempt === own.attempt;
    if (!matches) throw new SealwireError('receipt-mismatch');
    const index = this.#last === undefined ? 0 : this.#last.index + 1;
    if (receipt.index !== index || this.#last?.kind === RECEIPT_FINAL) throw new SealwireError('receipt-order');
    this.#last = { index: receipt.index, kind: receipt.kind };
    return receipt;
  }
}
