/** The sender of one half (protocol sections 6.1, 6.2 and 6.5). */

import { concat, concatAll, u16, utf8, wipe } from './bytes.js';
import { SealwireError, UsageError } from './errors.js';
import * as lim from './limits.js';
import type { HalfLimits } from './limits.js';
import { checkPadding, frameCapacity, paddedLength, type Padding } from './padding.js';
import { Ratchet } from './ratchet.js';

/** Which direction a half goes: client to instance, or instance to client. */
export type Half = 'c2s' | 's2c';

/** What a {@link Sealer} is made of. */
export interface SealerOptions {
  readonly half: Half;
  /** The half's first traffic secret, 32 bytes; the sealer takes it over and overwrites it. */
  readonly secret: Uint8Array;
  /** Default "none". */
  readonly padding?: Padding;
  readonly limits?: Partial<HalfLimits>;
  /** For test vectors: is told of each epoch that is used, with copies of its key and iv. @internal */
  readonly onEpoch?: (epoch: number, key: Uint8Array, iv: Uint8Array) => void;
}

/**
 * Seals content into frames. Every operation appends whole frames to an output, which {@link Sealer.take} drains:
 * what was sealed stays there until the transport has room for it, and is never sealed again.
 *
 * Wrong calls (anything after the end, KEY_UPDATE before SWITCH, two KEY_UPDATE without content between them)
 * throw {@link UsageError} and change nothing. `exhausted` is a {@link SealwireError} and final; frames made before
 * it within the same call stay in the output. FINAL is only ever sealed by {@link Sealer.final}.
 */
export class Sealer {
  readonly #half: Half;
  #padding: Padding;
  readonly #limits: HalfLimits;
  readonly #ratchet: Ratchet;
  readonly #onEpoch: SealerOptions['onEpoch'];
  readonly #late: { secret: Uint8Array | undefined } = { secret: undefined };
  #out: Uint8Array[] = [];
  #seq = 0;
  #inEpoch = 0;
  #empty = 0;
  #updated = false;
  #switched = false;
  #locked = false;
  #end: 'final' | 'error' | 'closed' | undefined;
  #failure: SealwireError | undefined;

  /** @throws UsageError if the secret has not 32 bytes or the padding is none. */
  constructor(options: SealerOptions) {
    if (options.secret.length !== 32) throw new UsageError('a traffic secret has 32 bytes');
    this.#half = options.half;
    this.#padding = options.padding ?? 'none';
    checkPadding(this.#padding);
    this.#limits = { ...lim.DEFAULT_LIMITS, ...options.limits };
    this.#ratchet = new Ratchet(options.secret);
    this.#onEpoch = options.onEpoch;
  }

  /** Whether the half has ended with FINAL. */
  get finished(): boolean {
    return this.#end === 'final';
  }

  /** Whether the half has ended, failed or been closed: nothing can be sealed any more. */
  get ended(): boolean {
    return this.#end !== undefined || this.#failure !== undefined;
  }

  /** Whether SWITCH has been sealed. */
  get switched(): boolean {
    return this.#switched;
  }

  /** Bytes that wait in the output. */
  get pending(): number {
    return this.#out.reduce((sum, frame) => sum + frame.length, 0);
  }

  /** All frames that wait in the output, as one piece; empty if there are none. */
  take(): Uint8Array {
    const frames = this.#out;
    this.#out = [];
    return frames.length === 1 && frames[0] !== undefined ? frames[0] : concatAll(frames);
  }

  /** All frames that wait in the output, one by one (for carriages that keep frames apart, P9). */
  takeFrames(): Uint8Array[] {
    const frames = this.#out;
    this.#out = [];
    return frames;
  }

  /**
   * Seals content as DATA frames, split greedily (section 6.5). Empty content gives one empty DATA frame.
   * @throws SealwireError `exhausted`; UsageError for a wrong call, more than 32 empty unpadded frames in a row (F-22) too.
   */
  data(content: Uint8Array): void {
    this.#check();
    this.#split(content, lim.INNER_DATA);
  }

  /**
   * Seals the last content and the end. Longer content than a frame takes goes into DATA frames first.
   * @throws SealwireError `exhausted`; UsageError for a wrong call.
   */
  final(content: Uint8Array = new Uint8Array(0)): void {
    this.#check();
    this.#split(content, lim.INNER_FINAL);
    this.#finish('final');
  }

  /**
   * Ends the half with ERROR (section 6.6).
   * @param code number of P6.6. @param message text for people, without secrets; cut if it does not fit.
   * @throws SealwireError `exhausted`; UsageError for a wrong call.
   */
  error(code: number, message = ''): void {
    this.#check();
    if (!Number.isInteger(code) || code < 0 || code > 0xffff) throw new UsageError('an ERROR code has 16 bits');
    const text = utf8(message);
    let length = Math.min(text.length, frameCapacity(this.#padding) - 2);
    while (length < text.length && length > 0 && ((text[length] as number) & 0xc0) === 0x80) length -= 1;
    this.#frame(lim.INNER_ERROR, concat(u16(code), text.subarray(0, length)));
    this.#finish('error');
  }

  /**
   * Moves the half to the next epoch.
   * @throws SealwireError `exhausted`; UsageError in c2s before SWITCH, or without content since the last one (F-5).
   */
  keyUpdate(): void {
    this.#check();
    if (this.#half === 'c2s' && !this.#switched) throw new UsageError('KEY_UPDATE in c2s comes after SWITCH');
    if (this.#updated) throw new UsageError('KEY_UPDATE needs DATA with content since the last one');
    this.#frame(lim.INNER_KEY_UPDATE, new Uint8Array(0));
  }

  /**
   * Seals SWITCH and moves c2s to its late secret.
   * @param lateSecret ts_c2s_1, 32 bytes, which the sealer takes over.
   * @throws SealwireError `exhausted`; UsageError in s2c or a second time.
   */
  switch(lateSecret: Uint8Array): void {
    if (lateSecret.length !== 32) throw new UsageError('a traffic secret has 32 bytes');
    this.#locked = false;
    this.#check();
    if (this.#half === 's2c' || this.#switched) throw new UsageError('SWITCH stands once, in c2s');
    this.#late.secret = lateSecret;
    this.#frame(lim.INNER_SWITCH, new Uint8Array(0));
  }

  /**
   * Seals PAD, which carries nothing.
   * @param zeros bytes of padding, 0 to 16,384; under `fixed` padding the policy decides.
   * @throws SealwireError `exhausted`; UsageError for a wrong call or more than 32 empty frames in a row (F-22).
   */
  pad(zeros = 0): void {
    this.#check();
    if (!Number.isInteger(zeros) || zeros < 0 || zeros > lim.MAX_CONTENT) throw new UsageError('PAD carries 0 to 16,384 zeros');
    this.#frame(lim.INNER_PAD, new Uint8Array(0), typeof this.#padding === 'string' ? zeros : this.#padding.fixed);
  }

  /**
   * Makes a PUBLIC frame, which a relay can read and not change.
   * @param body 1 to 512 bytes.
   * @throws SealwireError `exhausted`; UsageError in c2s or for another length.
   */
  public(body: Uint8Array): void {
    this.#check();
    if (this.#half === 'c2s') throw new UsageError('PUBLIC frames are of s2c');
    if (body.length < 1 || body.length > lim.PUBLIC_MAX - lim.TAG) throw new UsageError('a PUBLIC body has 1 to 512 bytes');
    this.#exhausted();
    const length = body.length + lim.TAG;
    const header = Uint8Array.of(lim.FRAME_PUBLIC, length >> 16, length >> 8, length);
    const tag = this.#ratchet.seal(this.#seq, concat(header, body), new Uint8Array(0));
    this.#out.push(concat(header, body, tag));
    this.#advance(0);
  }

  /** Changes the padding of the frames to come. @throws UsageError if it is none. */
  setPadding(padding: Padding): void {
    checkPadding(padding);
    this.#padding = padding;
  }

  /** Erases all keys and what waits in the output. Nothing more can be sealed; no FINAL is made (F-2). */
  close(): void {
    if (this.#end === undefined) this.#finish('closed');
    this.#out = [];
  }

  /** Forbids sealing until SWITCH (EarlyData::Never, S-4). @internal */
  lock(): void {
    this.#locked = true;
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#end !== undefined) throw new UsageError('the half has ended');
    if (this.#locked) throw new UsageError('nothing is sealed before H2 is verified (EarlyData::Never)');
  }

  #exhausted(): void {
    if (this.#seq < this.#limits.maxFrames) return;
    this.#failure = new SealwireError('exhausted');
    this.#erase();
    throw this.#failure;
  }

  #split(content: Uint8Array, last: number): void {
    const capacity = frameCapacity(this.#padding);
    let at = 0;
    while (content.length - at > capacity) {
      this.#frame(lim.INNER_DATA, content.subarray(at, at + capacity));
      at += capacity;
    }
    this.#frame(last, content.subarray(at));
  }

  #frame(inner: number, content: Uint8Array, padded = paddedLength(this.#padding, content.length)): void {
    const counts = inner === lim.INNER_DATA || inner === lim.INNER_PAD;
    if (counts && padded === 0 && this.#empty >= this.#limits.maxEmpty) throw new UsageError('too many empty frames in a row');
    this.#exhausted();
    const plaintext = new Uint8Array(padded + lim.TRAILER);
    plaintext.set(content);
    plaintext.set(Uint8Array.of(inner, content.length >> 16, content.length >> 8, content.length), padded);
    const length = plaintext.length + lim.TAG;
    const header = Uint8Array.of(lim.FRAME_SEALED, length >> 16, length >> 8, length);
    this.#out.push(concat(header, this.#ratchet.seal(this.#seq, header, plaintext)));
    wipe(plaintext);
    if (counts) this.#empty = padded === 0 ? this.#empty + 1 : 0;
    if (inner === lim.INNER_KEY_UPDATE) this.#updated = true;
    if (inner === lim.INNER_DATA && content.length > 0) this.#updated = false;
    this.#advance(inner);
  }

  #advance(inner: number): void {
    if (this.#inEpoch === 0) this.#onEpoch?.(...this.#ratchet.inspect());
    this.#seq += 1;
    this.#inEpoch += 1;
    if (inner === lim.INNER_SWITCH && this.#late.secret !== undefined) {
      this.#switched = true;
      this.#ratchet.switchTo(this.#late.secret);
      this.#late.secret = undefined;
      this.#inEpoch = 0;
    } else if (inner === lim.INNER_FINAL || inner === lim.INNER_ERROR) {
      return;
    } else if (inner === lim.INNER_KEY_UPDATE || this.#inEpoch >= this.#limits.epochFrames) {
      this.#ratchet.next();
      this.#inEpoch = 0;
    }
  }

  #finish(end: 'final' | 'error' | 'closed'): void {
    this.#end = end;
    this.#erase();
  }

  #erase(): void {
    this.#ratchet.erase();
    wipe(this.#late.secret);
  }
}
