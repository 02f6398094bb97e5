/** Writes the content of s2c with the padding and rhythm that a client wished for (http section 7.2). */

import { concatAll } from '../bytes.js';
import type { PaddingWish } from '../inner.js';
import type { Sealer } from '../sealer.js';

/** Content that is gathered under padme and buckets: milliseconds, pieces and bytes. */
const GATHER = { wait: 50, pieces: 5, bytes: 12 * 1024 };
/** Constant rate: milliseconds between frames, and bytes of content and padding in each. */
const CONSTANT = { tick: 50, bytes: 1_024 };

/** Puts pieces of content into frames and hands them to a sink. */
export class AnswerWriter {
  readonly #sealer: Sealer;
  readonly #sink: (bytes: Uint8Array) => Promise<void>;
  #policy: PaddingWish;
  #queue: Uint8Array[] = [];
  #timer: NodeJS.Timeout | undefined;
  #empty: (() => void) | undefined;

  /** @param sink takes wire bytes; resolves when there is room for more. */
  constructor(sealer: Sealer, policy: PaddingWish, sink: (bytes: Uint8Array) => Promise<void>) {
    this.#sealer = sealer;
    this.#sink = sink;
    this.#policy = policy;
  }

  /** Whether interim receipts are sent. */
  get interim(): boolean {
    return this.#policy !== 'constant';
  }

  /** Sets the policy, before the first piece: the client's wish, or one further down in the table (H-42). */
  setPolicy(policy: PaddingWish): void {
    this.#policy = policy;
    this.#sealer.setPadding(policy === 'constant' ? { fixed: CONSTANT.bytes } : policy);
  }

  /** Sends what the sealer holds, receipts for example. */
  async flush(): Promise<void> {
    const bytes = this.#sealer.take();
    if (bytes.length > 0) await this.#sink(bytes);
  }

  /** Takes one piece of the answer. */
  async write(piece: Uint8Array): Promise<void> {
    if (piece.length === 0) return;
    if (this.#policy === 'none') {
      this.#sealer.data(piece);
      return this.flush();
    }
    this.#queue.push(piece);
    if (this.#policy === 'constant') {
      this.#timer ??= setInterval(() => void this.#tick().catch(() => this.stop()), CONSTANT.tick);
      return;
    }
    const bytes = this.#queue.reduce((sum, p) => sum + p.length, 0);
    if (this.#queue.length >= GATHER.pieces || bytes >= GATHER.bytes) return this.#release();
    this.#timer ??= setTimeout(() => void this.#release().catch(() => this.stop()), GATHER.wait);
  }

  /** Waits until everything that was written has been sealed; the end follows directly. */
  async drain(): Promise<void> {
    if (this.#policy === 'constant' && this.#queue.length > 0) {
      await new Promise<void>((resolve) => (this.#empty = resolve));
    }
    this.stop();
    if (this.#queue.length > 0) await this.#release();
  }

  /** Stops all clocks. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#empty?.();
    this.#empty = undefined;
  }

  async #release(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const content = concatAll(this.#queue);
    this.#queue = [];
    if (this.#sealer.ended || content.length === 0) return;
    this.#sealer.data(content);
    await this.flush();
  }

  /** One frame of the constant rate: content, or PAD if there is none. */
  async #tick(): Promise<void> {
    if (this.#sealer.ended) return this.stop();
    if (this.#queue.length === 0) this.#sealer.pad();
    else {
      const content = concatAll(this.#queue);
      this.#sealer.data(content.subarray(0, CONSTANT.bytes));
      this.#queue = content.length > CONSTANT.bytes ? [content.subarray(CONSTANT.bytes)] : [];
    }
    if (this.#queue.length === 0) {
      this.#empty?.();
      this.#empty = undefined;
    }
    await this.flush();
  }
}
