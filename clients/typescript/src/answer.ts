/** Reads a sealed answer: s2c frames to an HTTP response, verified (http sections 3, 7 and 8). Without any I/O. */

import { concat, concatAll } from './bytes.js';
import { fieldValues, MessageReader, type MessageLimits, type ResponseHead } from './bhttp.js';
import type { ClientStream } from './client.js';
import { MessageError, PeerError, SealwireError } from './errors.js';
import { RECEIPT_FINAL, RECEIPT_REQUEST_COMPLETE, type Receipt } from './receipt.js';
import { EventSplitter, isDone, isEventStream } from './sse.js';

/** Bytes that are held behind `[DONE]`. */
const MAX_HELD = 8 * 1024 * 1024;

/**
 * Passes an event stream on event by event, and holds back `[DONE]` and all behind it until {@link EventHold.release}:
 * a consumer that stops there must not believe in an end that was not verified (H-66).
 */
export class EventHold {
  readonly #splitter = new EventSplitter();
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #done = false;

  /** Adds content; gives the whole events that may be passed on. @throws MessageError for an event, or a rest behind `[DONE]`, above 8 MiB. */
  push(content: Uint8Array): Uint8Array {
    const passed: Uint8Array[] = [];
    for (const event of this.#splitter.push(content)) {
      this.#done ||= isDone(event);
      (this.#done ? this.#held : passed).push(event);
      if (this.#done) this.#heldBytes += event.length;
    }
    if (this.#heldBytes > MAX_HELD) throw new MessageError('too much follows the end of the events');
    return concatAll(passed);
  }

  /** Everything that was held: call it once the end is verified. */
  release(): Uint8Array {
    const rest = concatAll([...this.#held, this.#splitter.rest]);
    this.#held = [];
    return rest;
  }
}

/** What {@link AnswerReader.pieces} gives. */
export interface AnswerPiece {
  /** The head, in the piece in which it became whole. */
  readonly head?: ResponseHead;
  /** Verified content, perhaps empty. */
  readonly content: Uint8Array;
  /** Whether this is the verified end. */
  readonly end: boolean;
}

/** Turns the bytes of s2c into the head and content of one HTTP response. */
export class AnswerReader {
  readonly #stream: ClientStream;
  readonly #message: MessageReader<ResponseHead>;
  readonly #onReceipt: ((receipt: Receipt) => void) | undefined;
  #hold: EventHold | undefined;
  #headGiven = false;
  #ended = false;

  /** @param onReceipt is told of every receipt, once it is verified. */
  constructor(stream: ClientStream, limits: Partial<MessageLimits>, onReceipt?: (receipt: Receipt) => void) {
    this.#stream = stream;
    this.#message = new MessageReader<ResponseHead>('response', { maxContent: 1024 ** 3, ...limits });
    this.#onReceipt = onReceipt;
  }

  /** Whether the verified end has been given. */
  get ended(): boolean {
    return this.#ended;
  }

  /**
   * Adds bytes of s2c and gives what they release.
   * @throws SealwireError of a receiver or a receipt, `early-response` (A-5, H-61); {@link PeerError} if the instance
   * ended with ERROR; `MessageError` if the answer is no HTTP message. Pieces before the failure come out first.
   */
  *pieces(bytes: Uint8Array): Generator<AnswerPiece, void> {
    this.#stream.push(bytes);
    while (!this.#ended) {
      const event = this.#stream.next();
      if (event === undefined) return;
      switch (event.type) {
        case 'receipt':
          this.#onReceipt?.(event.receipt);
          break;
        case 'data':
          yield* this.#content(event.bytes, false);
          break;
        case 'final':
          yield* this.#content(event.bytes, true);
          break;
        case 'error':
          this.#early();
          throw new PeerError(event.code, event.message);
      }
    }
  }

  /** Says that the transport has ended. @throws SealwireError `truncated` unless the end was verified before. */
  finish(): void {
    if (!this.#ended) this.#stream.finish();
  }

  #early(): void {
    const status = this.#message.head?.status;
    if (status === undefined || status >= 400) return;
    const receipt = this.#stream.lastReceipt;
    const denied = receipt?.kind === RECEIPT_FINAL && (receipt.flags & RECEIPT_REQUEST_COMPLETE) === 0;
    if (!this.#stream.sealer.finished || denied) throw new SealwireError('early-response');
  }

  *#content(bytes: Uint8Array, end: boolean): Generator<AnswerPiece, void> {
    this.#message.push(bytes);
    if (end) {
      this.#message.finish();
      this.#early();
      this.#ended = true;
    }
    const { head } = this.#message;
    let content = this.#message.takeContent();
    const first = head !== undefined && !this.#headGiven;
    if (first) {
      this.#headGiven = true;
      const type = fieldValues(head.fields, 'content-type')[0] ?? '';
      if (isEventStream(type)) this.#hold = new EventHold();
    }
    if (this.#hold !== undefined) {
      content = this.#hold.push(content);
      if (end) content = concat(content, this.#hold.release());
    }
    if (first || content.length > 0 || end) yield { ...(first ? { head } : {}), content, end };
  }
}
