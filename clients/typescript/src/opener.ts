/** The receiver of one half: the algorithm of protocol section 6.3. */

import { byteAt, readU16, readU24, utf8Text, wipe } from './bytes.js';
import { SealwireError, UsageError, type ErrorCode } from './errors.js';
import * as lim from './limits.js';
import type { HalfLimits } from './limits.js';
import { Ratchet } from './ratchet.js';
import type { Half } from './sealer.js';

/** What a frame gives. Frames that carry nothing (SWITCH, KEY_UPDATE, PAD, empty DATA) give no event. */
export type HalfEvent =
  | { readonly type: 'data'; readonly bytes: Uint8Array }
  /** The verified end, with the last content. */
  | { readonly type: 'final'; readonly bytes: Uint8Array }
  /** The other side gave up; `code` as received (P6.6). */
  | { readonly type: 'error'; readonly code: number; readonly message: string }
  /** A body that a relay can read; for a client the next receipt (P7). */
  | { readonly type: 'public'; readonly bytes: Uint8Array };

/** What an {@link Opener} is made of. */
export interface OpenerOptions {
  readonly half: Half;
  /** The half's first traffic secret, 32 bytes; the opener takes it over and overwrites it. */
  readonly secret: Uint8Array;
  /** ts_c2s_1, in c2s. */
  readonly lateSecret?: Uint8Array;
  readonly limits?: Partial<HalfLimits>;
}

/**
 * Opens the frames of one half. Push bytes as they come, in pieces of any size, and take events with
 * {@link Opener.next} until it gives undefined; call {@link Opener.finish} when the transport ends.
 *
 * Every failure is a {@link SealwireError}, erases the keys and is final: the same error comes again for ever.
 * Events that were due before the failure come out first. Nothing of a frame is released before its tag and
 * its inner fields are verified (F-9).
 */
export class Opener {
  readonly #half: Half;
  readonly #limits: HalfLimits;
  readonly #ratchet: Ratchet;
  #late: Uint8Array | undefined;
  #buffer = new Uint8Array(0);
  #from = 0;
  #to = 0;
  #seq = 0;
  #inEpoch = 0;
  #empty = 0;
  #updated = false;
  #switched = false;
  #bytes = 0;
  #padBytes = 0;
  #ended = false;
  #failure: SealwireError | undefined;

  /** @throws UsageError if a secret has not 32 bytes. */
  constructor(options: OpenerOptions) {
    if (options.secret.length !== 32 || (options.lateSecret !== undefined && options.lateSecret.length !== 32)) {
      throw new UsageError('a traffic secret has 32 bytes');
    }
    this.#half = options.half;
    this.#limits = { ...lim.DEFAULT_LIMITS, ...options.limits };
    this.#ratchet = new Ratchet(options.secret);
    this.#late = options.lateSecret;
  }

  /** Whether FINAL or ERROR has been released. */
  get ended(): boolean {
    return this.#ended;
  }

  /** The failure, once there is one. */
  get failure(): SealwireError | undefined {
    return this.#failure;
  }

  /** Adds bytes from the transport; they are copied. Bytes after a failure are dropped. */
  push(bytes: Uint8Array): void {
    if (this.#failure !== undefined || bytes.length === 0) return;
    const held = this.#to - this.#from;
    if (this.#to + bytes.length > this.#buffer.length) {
      const roomy = held + bytes.length <= this.#buffer.length;
      const target = roomy ? this.#buffer : new Uint8Array(Math.max(held + bytes.length, 2 * this.#buffer.length, 1_024));
      target.set(this.#buffer.subarray(this.#from, this.#to));
      this.#buffer = target;
      this.#from = 0;
      this.#to = held;
    }
    this.#buffer.set(bytes, this.#to);
    this.#to += bytes.length;
  }

  /**
   * The next event, or undefined if more bytes are needed.
   * @throws SealwireError
   */
  next(): HalfEvent | undefined {
    for (;;) {
      const have = this.#to - this.#from;
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#ended) {
        if (have > 0) this.#fail('trailing-data');
        return undefined;
      }
      if (have < lim.HEADER) return undefined;
      const length = this.#header(this.#buffer.subarray(this.#from, this.#from + lim.HEADER));
      if (have < lim.HEADER + length) return undefined;
      const frame = this.#buffer.subarray(this.#from, this.#from + lim.HEADER + length);
      this.#from += frame.length;
      if (this.#from === this.#to) this.#from = this.#to = 0;
      const event = this.#body(frame);
      if (event !== undefined) return event;
    }
  }

  /**
   * Opens one message that must be exactly one frame (P9, W-2). Not to be mixed with {@link Opener.push}.
   * @returns the frame's event, or undefined if it has none.
   * @throws SealwireError
   */
  openMessage(message: Uint8Array): HalfEvent | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#ended) this.#fail(message.length > 0 ? 'trailing-data' : 'bad-frame-length');
    if (message.length < lim.HEADER) this.#fail('bad-frame-length');
    this.#header(message.subarray(0, lim.HEADER), message.length - lim.HEADER);
    return this.#body(message);
  }

  /**
   * Says that the transport has ended.
   * @throws SealwireError `truncated` unless FINAL or ERROR came before (F-12); the earlier failure if there was one.
   */
  finish(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (!this.#ended) this.#fail('truncated');
    if (this.#to > this.#from) this.#fail('trailing-data');
  }

  /** Erases the keys; what follows fails as `truncated`. */
  close(): void {
    if (this.#failure === undefined && !this.#ended) this.#failure = new SealwireError('truncated');
    this.#erase();
  }

  /** Fails the half for a reason of its user's, a refused receipt for example. @internal */
  abort(error: SealwireError): void {
    this.#failure ??= error;
    this.#erase();
  }

  #fail(code: ErrorCode): never {
    this.#failure = new SealwireError(code);
    this.#erase();
    throw this.#failure;
  }

  #erase(): void {
    this.#ratchet.erase();
    wipe(this.#late, this.#buffer);
    this.#late = undefined;
    this.#buffer = new Uint8Array(0);
    this.#from = this.#to = 0;
  }

  /** Step 1: judges the four bytes of a header; `exact` is the length of a message's rest (W-2). */
  #header(header: Uint8Array, exact?: number): number {
    const type = byteAt(header, 0);
    const length = readU24(header, 1);
    if (type !== lim.FRAME_SEALED && type !== lim.FRAME_PUBLIC) this.#fail('bad-frame-type');
    const sealed = type === lim.FRAME_SEALED;
    if (length < (sealed ? lim.SEALED_MIN : lim.PUBLIC_MIN) || length > (sealed ? lim.SEALED_MAX : lim.PUBLIC_MAX)) {
      this.#fail('bad-frame-length');
    }
    if (exact !== undefined && exact !== length) this.#fail('bad-frame-length');
    if (!sealed && this.#half === 'c2s') this.#fail('unexpected-frame');
    if (this.#seq >= this.#limits.maxFrames) this.#fail('exhausted');
    if (this.#bytes + lim.HEADER + length > this.#limits.byteBudget) this.#fail('too-large');
    return length;
  }

  /** Steps 2 to 7 for a whole frame. */
  #body(frame: Uint8Array): HalfEvent | undefined {
    if (byteAt(frame, 0) === lim.FRAME_PUBLIC) {
      const bodyEnd = frame.length - lim.TAG;
      if (this.#ratchet.open(this.#seq, frame.subarray(0, bodyEnd), frame.subarray(bodyEnd)) === undefined) this.#fail('decrypt');
      const bytes = frame.slice(lim.HEADER, bodyEnd);
      this.#advance(frame.length, 0);
      return { type: 'public', bytes };
    }
    const plaintext = this.#ratchet.open(this.#seq, frame.subarray(0, lim.HEADER), frame.subarray(lim.HEADER));
    if (plaintext === undefined) this.#fail('decrypt');
    const end = plaintext.length - lim.TRAILER;
    const inner = byteAt(plaintext, end);
    const length = readU24(plaintext, end + 1);
    if (inner < lim.INNER_DATA || inner > lim.INNER_PAD) this.#refuse(plaintext, 'bad-inner-type');
    const contentless = inner === lim.INNER_KEY_UPDATE || inner === lim.INNER_SWITCH || inner === lim.INNER_PAD;
    if (length > end || (contentless && length !== 0) || (inner === lim.INNER_ERROR && length < 2)) {
      this.#refuse(plaintext, 'bad-content-length');
    }
    let nonzero = 0;
    for (let i = length; i < end; i++) nonzero |= plaintext[i] as number;
    if (nonzero !== 0) this.#refuse(plaintext, 'bad-padding');
    const content = plaintext.subarray(0, length);
    const message = this.#rules(inner, content, frame.length, plaintext);
    this.#advance(frame.length, inner);
    switch (inner) {
      case lim.INNER_DATA:
        return length > 0 ? { type: 'data', bytes: content } : undefined;
      case lim.INNER_FINAL:
        return { type: 'final', bytes: content };
      case lim.INNER_ERROR:
        return { type: 'error', code: readU16(content, 0), message };
      default:
        return undefined;
    }
  }

  /** Step 5 and the state of step 6; gives the message of an ERROR. */
  #rules(inner: number, content: Uint8Array, size: number, plaintext: Uint8Array): string {
    if (inner === lim.INNER_SWITCH && (this.#half === 's2c' || this.#switched)) this.#refuse(plaintext, 'unexpected-frame');
    if (inner === lim.INNER_KEY_UPDATE) {
      if (this.#half === 'c2s' && !this.#switched) this.#refuse(plaintext, 'unexpected-frame');
      if (this.#updated) this.#refuse(plaintext, 'key-update-flood');
      this.#updated = true;
    }
    if (inner === lim.INNER_DATA || inner === lim.INNER_PAD) {
      this.#empty = size === lim.HEADER + lim.SEALED_MIN ? this.#empty + 1 : 0;
      if (this.#empty > this.#limits.maxEmpty) this.#refuse(plaintext, 'empty-flood');
      if (content.length === 0) {
        this.#padBytes += size;
        if (this.#padBytes > this.#limits.padBudget) this.#refuse(plaintext, 'pad-budget');
      } else {
        this.#updated = false;
      }
    }
    if (inner !== lim.INNER_ERROR) return '';
    const message = utf8Text(content.subarray(2));
    if (message === undefined) this.#refuse(plaintext, 'bad-error');
    return message;
  }

  #refuse(plaintext: Uint8Array, code: ErrorCode): never {
    wipe(plaintext);
    this.#fail(code);
  }

  /** Step 7 (section 6.4). */
  #advance(size: number, inner: number): void {
    this.#bytes += size;
    this.#seq += 1;
    this.#inEpoch += 1;
    if (inner === lim.INNER_FINAL || inner === lim.INNER_ERROR) {
      this.#ended = true;
      this.#ratchet.erase();
      wipe(this.#late);
      this.#late = undefined;
    } else if (inner === lim.INNER_SWITCH) {
      this.#switched = true;
      if (this.#late === undefined) this.#fail('unexpected-frame');
      this.#ratchet.switchTo(this.#late);
      this.#late = undefined;
      this.#inEpoch = 0;
    } else if (inner === lim.INNER_KEY_UPDATE || this.#inEpoch >= this.#limits.epochFrames) {
      this.#ratchet.next();
      this.#inEpoch = 0;
    }
  }
}
