/** The client's side of the handshake (protocol section 5.3) and of the stream after it. */

import { byteAt, concat, sameSecret, u16, u8, utf8, wipe, sameBytes } from './bytes.js';
import { isVerified, type VerifiedBundle } from './bundle.js';
import { parseContext, type Context } from './context.js';
import { SealwireError, UsageError, type ErrorCode } from './errors.js';
import { VERSION, type HalfLimits } from './limits.js';
import { Opener, type HalfEvent } from './opener.js';
import type { Padding } from './padding.js';
import { ReceiptVerifier, type Receipt } from './receipt.js';
import { Exporter, schedule1, schedule2, sha256, transcript0, transcript1, transcript2 } from './schedule.js';
import { Sealer } from './sealer.js';
import type { KemKey } from './suites.js';

const MAGIC = utf8('SW');

/** `allow`: frames may be sealed before H2, under early keys; `never`: nothing is sealed before H2 is verified. */
export type EarlyData = 'allow' | 'never';

/** Options of {@link ClientHandshake}. */
export interface ClientOptions {
  readonly early: EarlyData;
  /** Padding of c2s; default "none". */
  readonly padding?: Padding;
  readonly limits?: Partial<HalfLimits>;
  /** Coins from outside: for test vectors only, a handshake must have fresh ones (S-1). @internal */
  readonly coins?: { readonly client: Uint8Array; readonly encaps: Uint8Array };
  /** For test vectors of a carriage, which know nothing of receipts: PUBLIC bodies are not checked. @internal */
  readonly uncheckedReceipts?: boolean;
}

/** An event of the answer: those of a half, where PUBLIC bodies have been checked and come as receipts (P7). */
export type AnswerEvent = HalfEvent | { readonly type: 'receipt'; readonly receipt: Receipt; readonly bytes: Uint8Array };

/**
 * One handshake of a client. `h1` goes out at once; with early data {@link ClientHandshake.sealer} may be used right
 * away, else after {@link ClientHandshake.readH2}. The caller keeps the deadline for H2, at most 30 s, and calls
 * {@link ClientHandshake.fail} with `handshake-timeout` then (S-3).
 */
export class ClientHandshake {
  /** H1, to be sent once. */
  readonly h1: Uint8Array;
  /** The context that goes beside it. */
  readonly context: Context;
  /** Seals c2s. */
  readonly sealer: Sealer;
  readonly #verified: VerifiedBundle;
  readonly #limits: Partial<HalfLimits>;
  readonly #checkReceipts: boolean;
  readonly #key: KemKey;
  readonly #th1: Uint8Array;
  readonly #confirm1: Uint8Array;
  readonly #derived: Uint8Array;
  #failure: SealwireError | undefined;
  #done = false;

  /**
   * Starts a handshake.
   * @param context a context of `makeContext` or its bytes.
   * @throws SealwireError `bad-context`, or `label-mismatch` if its label is not the bundle's (C-6).
   * @throws UsageError if the bundle did not come from `verifyBundle`.
   */
  constructor(verified: VerifiedBundle, context: Context | Uint8Array, options: ClientOptions) {
    if (!isVerified(verified)) throw new UsageError('a handshake starts from a verified bundle');
    const { bundle } = verified;
    this.#verified = verified;
    this.#limits = options.limits ?? {};
    this.#checkReceipts = options.uncheckedReceipts !== true;
    this.context = parseContext(context instanceof Uint8Array ? context : context.bytes);
    if (!sameBytes(this.context.label, bundle.label)) throw new SealwireError('label-mismatch');
    this.#key = bundle.suite.generate(options.coins?.client);
    const encapsulated = bundle.suite.encapsulate(bundle.kemKey, options.coins?.encaps);
    if (encapsulated === undefined) throw new SealwireError('bundle-kem-key');
    const head = concat(MAGIC, u8(VERSION), u16(bundle.suite.id), u8(0), bundle.id, encapsulated.ciphertext, this.#key.publicKey);
    const th0 = transcript0(bundle.suite.id, bundle.bytes, this.context.bytes);
    this.#th1 = transcript1(th0, head);
    const first = schedule1(th0, this.#th1, encapsulated.secret);
    wipe(encapsulated.secret, first.prk1);
    this.#confirm1 = first.confirm1;
    this.#derived = first.derived;
    this.h1 = concat(head, first.confirm1);
    this.sealer = new Sealer({
      half: 'c2s',
      secret: first.tsC2s0,
      ...(options.padding === undefined ? {} : { padding: options.padding }),
      limits: this.#limits,
    });
    if (options.early === 'never') this.sealer.lock();
  }

  /** Length of H2 in bytes. */
  get h2Bytes(): number {
    return this.#verified.bundle.suite.h2Bytes;
  }

  /**
   * Judges as much of H2's version and flags as is there (S-6).
   * @throws SealwireError `bad-version` or `bad-flags`.
   */
  checkH2Head(bytes: Uint8Array): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (bytes.length >= 1 && byteAt(bytes, 0) !== VERSION) this.#fail('bad-version');
    if (bytes.length >= 2 && byteAt(bytes, 1) !== 0) this.#fail('bad-flags');
  }

  /**
   * Verifies H2 and seals SWITCH, unless c2s has ended (S-5).
   * @param h2 exactly H2; a shorter one is `truncated`, a longer one `trailing-data` (P9).
   * @throws SealwireError `bad-version`, `bad-flags`, `truncated`, `trailing-data` or `confirm-failed`; the handshake is dead then.
   */
  readH2(h2: Uint8Array): ClientStream {
    this.checkH2Head(h2);
    if (this.#done) throw new UsageError('H2 has been read');
    if (h2.length < this.h2Bytes) this.#fail('truncated');
    if (h2.length > this.h2Bytes) this.#fail('trailing-data');
    const head = h2.subarray(0, this.h2Bytes - 32);
    const secret = this.#key.decapsulate(head.subarray(2));
    this.#key.erase();
    if (secret === undefined) this.#fail('confirm-failed');
    const th2 = transcript2(this.#th1, this.#confirm1, head);
    const second = schedule2(this.#derived, th2, secret);
    wipe(secret, second.prk2, this.#derived);
    const equal = sameSecret(second.confirm2, h2.subarray(head.length));
    if (!equal) {
      wipe(second.tsS2c0, second.tsC2s1, second.exporter);
      this.#fail('confirm-failed');
    }
    this.#done = true;
    if (this.sealer.ended) wipe(second.tsC2s1);
    else this.sealer.switch(second.tsC2s1);
    const opener = new Opener({ half: 's2c', secret: second.tsS2c0, limits: this.#limits });
    return new ClientStream(this.sealer, opener, new Exporter(second.exporter), this.#verified, this.context, th2, this.#checkReceipts);
  }

  /**
   * Ends the handshake without H2 and erases its secrets: `handshake-timeout` at the deadline, `truncated` when the
   * transport ends, `no-duplex` where the carriage cannot deliver H2 in time (S-7).
   * @returns the error that the handshake ends with.
   */
  fail(code: ErrorCode): SealwireError {
    if (this.#failure === undefined && !this.#done) {
      this.#failure = new SealwireError(code);
      this.#erase();
    }
    return this.#failure ?? new SealwireError(code);
  }

  #fail(code: ErrorCode): never {
    this.#failure = new SealwireError(code);
    this.#erase();
    throw this.#failure;
  }

  #erase(): void {
    this.#key.erase();
    wipe(this.#derived);
    this.sealer.close();
  }
}

/** The stream after a handshake: seals c2s, opens s2c and checks its receipts. */
export class ClientStream {
  readonly sealer: Sealer;
  readonly exporter: Exporter;
  /** Names this handshake; a relay computes it too, from what it sees. */
  readonly th2: Uint8Array;
  readonly #opener: Opener;
  readonly #receipts: ReceiptVerifier;
  readonly #checkReceipts: boolean;
  #lastReceipt: Receipt | undefined;

  /** Made by {@link ClientHandshake.readH2}. */
  constructor(
    sealer: Sealer,
    opener: Opener,
    exporter: Exporter,
    verified: VerifiedBundle,
    context: Context,
    th2: Uint8Array,
    checkReceipts: boolean,
  ) {
    this.sealer = sealer;
    this.#opener = opener;
    this.#checkReceipts = checkReceipts;
    this.exporter = exporter;
    this.th2 = th2;
    this.#receipts = new ReceiptVerifier(verified.bundle.identity, {
      th2,
      bundleHash: verified.bundle.hash,
      contextHash: sha256(context.bytes),
      requestId: context.requestId,
      attempt: context.attempt,
    });
  }

  /** The last receipt that was accepted. */
  get lastReceipt(): Receipt | undefined {
    return this.#lastReceipt;
  }

  /** Whether s2c has ended with FINAL or ERROR. */
  get ended(): boolean {
    return this.#opener.ended;
  }

  /** Adds bytes of s2c, in pieces of any size. */
  push(bytes: Uint8Array): void {
    this.#opener.push(bytes);
  }

  /**
   * The next event of the answer, or undefined if more bytes are needed.
   * @throws SealwireError of a receiver (P8), or of a receipt; final.
   */
  next(): AnswerEvent | undefined {
    return this.#checked(this.#opener.next());
  }

  /**
   * The event of one message that is one frame (P9), if it has one.
   * @throws SealwireError
   */
  openMessage(message: Uint8Array): AnswerEvent | undefined {
    return this.#checked(this.#opener.openMessage(message));
  }

  /**
   * Says that the transport has ended, after all events were taken.
   * @throws SealwireError `truncated` unless FINAL or ERROR came before.
   */
  finish(): void {
    this.#opener.finish();
  }

  /** Gives the stream up and erases its keys. */
  close(): void {
    this.sealer.close();
    this.#opener.close();
    this.exporter.erase();
  }

  #checked(event: HalfEvent | undefined): AnswerEvent | undefined {
    if (event?.type !== 'public' || !this.#checkReceipts) return event;
    try {
      this.#lastReceipt = this.#receipts.accept(event.bytes);
      return { type: 'receipt', receipt: this.#lastReceipt, bytes: event.bytes };
    } catch (error) {
      if (error instanceof SealwireError) this.#opener.abort(error);
      throw error;
    }
  }
}
