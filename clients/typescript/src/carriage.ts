/** The byte-stream and message carriages (protocol section 9), without any I/O. */

import { concat, lp, readU16 } from './bytes.js';
import { ClientHandshake, type AnswerEvent, type ClientStream } from './client.js';
import { SealwireError } from './errors.js';
import { checkH1Head, type AcceptOptions, type Instance, type InstanceStream } from './instance.js';
import { MAX_CONTEXT } from './limits.js';
import type { HalfEvent } from './opener.js';

/** `stream`: bytes in pieces of any size. `message`: binary messages, each of which is one frame after the first. */
export type Carriage = 'stream' | 'message';

/** A client over a byte stream or messages: feed what arrives to {@link ClientCarriage.receive}. */
export class ClientCarriage {
  readonly handshake: ClientHandshake;
  readonly #carriage: Carriage;
  #head: Uint8Array = new Uint8Array(0);
  #stream: ClientStream | undefined;
  #message: Uint8Array | undefined;

  constructor(carriage: Carriage, handshake: ClientHandshake) {
    this.#carriage = carriage;
    this.handshake = handshake;
  }

  /** `lp(context) | H1`: the first bytes, or the first message. */
  get first(): Uint8Array {
    return concat(lp(this.handshake.context.bytes), this.handshake.h1);
  }

  /** The stream, once H2 is verified. */
  get stream(): ClientStream | undefined {
    return this.#stream;
  }

  /**
   * Takes bytes, or one message; events come from {@link ClientCarriage.next}.
   * @throws SealwireError of H2; final.
   */
  receive(bytes: Uint8Array): void {
    if (this.#stream !== undefined) {
      if (this.#carriage === 'stream') this.#stream.push(bytes);
      else this.#message = bytes;
      return;
    }
    if (this.#carriage === 'message') {
      this.#stream = this.handshake.readH2(bytes);
      return;
    }
    this.#head = concat(this.#head, bytes);
    this.handshake.checkH2Head(this.#head);
    const { h2Bytes } = this.handshake;
    if (this.#head.length < h2Bytes) return;
    const rest = this.#head.subarray(h2Bytes);
    this.#stream = this.handshake.readH2(this.#head.subarray(0, h2Bytes));
    this.#stream.push(rest);
  }

  /**
   * The next event, or undefined if more has to be received.
   * @throws SealwireError
   */
  next(): AnswerEvent | undefined {
    if (this.#stream === undefined) return undefined;
    if (this.#carriage === 'stream') return this.#stream.next();
    const message = this.#message;
    this.#message = undefined;
    return message === undefined ? undefined : this.#stream.openMessage(message);
  }

  /**
   * Says that the transport has ended.
   * @throws SealwireError `truncated` before the end of s2c, or the failure that came before.
   */
  finish(): void {
    if (this.#stream === undefined) throw this.handshake.fail('truncated');
    this.#stream.finish();
  }
}

/** An instance over a byte stream or messages: feed what arrives to {@link InstanceCarriage.receive}. */
export class InstanceCarriage {
  readonly #carriage: Carriage;
  readonly #instance: Instance;
  readonly #options: AcceptOptions;
  #head: Uint8Array = new Uint8Array(0);
  #stream: InstanceStream | undefined;
  #message: Uint8Array | undefined;
  #failure: unknown;

  constructor(carriage: Carriage, instance: Instance, options: AcceptOptions = {}) {
    this.#carriage = carriage;
    this.#instance = instance;
    this.#options = options;
  }

  /** The stream, once H1 is accepted; its `h2` goes out first. */
  get stream(): InstanceStream | undefined {
    return this.#stream;
  }

  /**
   * Takes bytes, or one message; events come from {@link InstanceCarriage.next}.
   * @throws SealwireError of context or H1; final, and the transport is to be closed.
   */
  receive(bytes: Uint8Array): void {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      if (this.#stream === undefined) this.#first(bytes);
      else if (this.#carriage === 'stream') this.#stream.opener.push(bytes);
      else this.#message = bytes;
    } catch (error) {
      this.#failure = error;
      throw error;
    }
  }

  #first(bytes: Uint8Array): void {
    this.#head = concat(this.#head, bytes);
    const whole = this.#carriage === 'message';
    if (this.#head.length < 2) {
      if (whole) throw new SealwireError('truncated');
      return;
    }
    const contextBytes = readU16(this.#head, 0);
    if (contextBytes > MAX_CONTEXT) throw new SealwireError('bad-context');
    const h1At = 2 + contextBytes;
    const h1Bytes = checkH1Head(this.#head.subarray(h1At));
    if (h1Bytes === undefined || this.#head.length < h1At + h1Bytes) {
      if (whole) throw new SealwireError('truncated');
      return;
    }
    const end = whole ? this.#head.length : h1At + h1Bytes;
    this.#stream = this.#instance.accept(this.#head.subarray(2, h1At), this.#head.subarray(h1At, end), this.#options);
    if (!whole) this.#stream.opener.push(this.#head.subarray(end));
  }

  /**
   * The next event of c2s, or undefined if more has to be received.
   * @throws SealwireError
   */
  next(): HalfEvent | undefined {
    if (this.#stream === undefined) return undefined;
    if (this.#carriage === 'stream') return this.#stream.opener.next();
    const message = this.#message;
    this.#message = undefined;
    return message === undefined ? undefined : this.#stream.opener.openMessage(message);
  }

  /**
   * Says that the transport has ended.
   * @throws SealwireError `truncated` before the end of c2s, or the failure that came before.
   */
  finish(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#stream === undefined) throw (this.#failure = new SealwireError('truncated'));
    this.#stream.opener.finish();
  }
}
