/** A `fetch` whose requests and answers are sealed (http sections 2 to 7). */

import { concat, concatAll } from './bytes.js';
import { AnswerReader, type AnswerPiece } from './answer.js';
import { encodeContent, encodeEnd, type Field, type ResponseHead } from './bhttp.js';
import { verifyBundle, type BundlePolicy, type VerifiedBundle } from './bundle.js';
import { ClientHandshake, type ClientStream, type EarlyData } from './client.js';
import { makeContext } from './context.js';
import { RelayError, SealwireError, UsageError } from './errors.js';
import { H2_DEADLINE_MS, MAX_ATTEMPTS } from './limits.js';
import { sealedRequestHead, type PaddingWish } from './inner.js';
import {
  authorization,
  discoveryUrl,
  isSealedResponse,
  MAX_ANSWER,
  PATH_REQUESTS,
  readDiscoveryAnswer,
  readProblem,
  resourceUrl,
  sealedRequestFields,
} from './outer.js';
import type { Padding } from './padding.js';
import type { Receipt } from './receipt.js';
import { SUITE_MLKEM768, SUITE_XWING } from './suites.js';
import { fetchTransport, type Exchange, type OuterResponse, type Transport } from './transport.js';

/** Options of {@link createSealedFetch}. */
export interface SealedFetchOptions {
  /** Base URL of a relay, or of an instance. */
  readonly relay: string;
  /** The key for this relay, sent as `Authorization: Bearer`. The application's own is never sent. */
  readonly key?: string;
  /** The label to ask for. Default: the member `model` of the request's JSON body. */
  readonly label?: string;
  /** Identity keys that are trusted, 32 bytes each (pins). */
  readonly identities: BundlePolicy['identities'];
  /** Numbers of the suites that are accepted; default X-Wing (2) and ML-KEM-768 (1). */
  readonly suites?: readonly number[];
  /** Whether to use single-use bundles only. Default: true with early data, false without. */
  readonly singleUse?: boolean;
  /**
   * `never`: nothing is sealed before the instance has proven itself; needs a full-duplex transport, else every request
   * fails with `no-duplex`. `allow`: the request goes out with H1, as a half-duplex transport must. A relay can then make
   * it run once for each attempt, so there is one attempt, unless `attempts` says that requests may run more than once.
   * Default: `never` on a full-duplex transport, `allow` on `fetch`.
   */
  readonly earlyData?: EarlyData;
  /**
   * Attempts of one request, 1 to 8, each a handshake of its own. Default: 3 with `never`, where attempts before H2 are
   * free; 1 with `allow`, where to set more declares that a request may run more than once.
   */
  readonly attempts?: number;
  /** What the transport is expected to be; `full` with a transport that is not fails with `no-duplex`. */
  readonly duplex?: 'half' | 'full';
  /** Padding of requests, and the wish for answers. Default: none. */
  readonly padding?: { readonly request?: Padding; readonly response?: PaddingWish };
  /** The `fetch` to use, where no transport is given. */
  readonly fetch?: typeof fetch;
  /** How requests travel; default `fetch`. `node/transport` has a full-duplex one. */
  readonly transport?: Transport;
  /** Opaque handle for the relay's bill, 1 to 128 bytes. */
  readonly billing?: Uint8Array;
  /** Milliseconds to wait for H2, at most and by default 30,000. */
  readonly h2Timeout?: number;
  /** Milliseconds of silence in an answer after which it is given up as `truncated`; default 180,000. */
  readonly idleTimeout?: number;
  /** Is told of every verified receipt. */
  readonly onReceipt?: (receipt: Receipt) => void;
}

/** A function with the shape of `fetch`. Host and scheme of the URL are not looked at: the relay is fixed. */
export type SealedFetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

/** Milliseconds that an answer to discovery may take. */
const DISCOVERY_MS = 10_000;

const receipts = new WeakMap<Response, { last: Receipt | undefined }>();

/**
 * The last verified receipt of a response of a sealed fetch: the final one, once its body has been read to the end.
 * @returns undefined if there was none, or if the response is none of a sealed fetch.
 */
export function receiptOf(response: Response): Receipt | undefined {
  return receipts.get(response)?.last;
}

/** The application's request. */
interface Wanted {
  readonly method: string;
  readonly path: string;
  readonly fields: readonly Field[];
  readonly label: string;
  readonly body: Uint8Array | ReadableStream<Uint8Array>;
  readonly signal: AbortSignal;
}

type Settings = Required<Pick<SealedFetchOptions, 'suites' | 'singleUse' | 'earlyData' | 'attempts' | 'h2Timeout' | 'idleTimeout'>> &
  SealedFetchOptions & { readonly transport: Transport };

/**
 * Makes a `fetch` that seals requests for an instance and verifies its answers.
 *
 * The promise resolves with the head of the sealed response; its body is a stream of verified plaintext. It rejects, or
 * the body fails, with {@link SealwireError} (the protocol was violated, or the stream was cut), {@link RelayError} (the
 * relay or the network said no), `PeerError` (the instance gave up) or `MessageError`. A body that ends was verified to
 * its end, final receipt included if one came; of an event stream, `[DONE]` comes only then (H-66).
 * Nothing is ever sent in plain, whatever fails (E-2).
 *
 * @throws UsageError for contradicting options.
 */
export function createSealedFetch(options: SealedFetchOptions): SealedFetch {
  const transport = options.transport ?? fetchTransport(options.fetch);
  const earlyData = options.earlyData ?? (transport.duplex === 'full' ? 'never' : 'allow');
  const settings: Settings = {
    ...options,
    transport,
    earlyData,
    suites: options.suites ?? [SUITE_XWING, SUITE_MLKEM768],
    singleUse: options.singleUse ?? earlyData === 'allow',
    attempts: options.attempts ?? (earlyData === 'never' ? 3 : 1),
    h2Timeout: Math.min(options.h2Timeout ?? H2_DEADLINE_MS, H2_DEADLINE_MS),
    idleTimeout: options.idleTimeout ?? 180_000,
  };
  if (!Number.isInteger(settings.attempts) || settings.attempts < 1 || settings.attempts > MAX_ATTEMPTS)
    throw new UsageError('attempts are 1 to 8');
  checkOptions(settings);
  return async (input, init) => {
    if (transport.duplex !== 'full' && (earlyData === 'never' || options.duplex === 'full')) throw new SealwireError('no-duplex');
    return run(settings, await readRequest(settings, input, init));
  };
}

/** What would otherwise show at the first request, or look like somebody else's fault. */
function checkOptions(options: Settings): void {
  const relay = URL.canParse(options.relay) ? new URL(options.relay) : undefined;
  if (relay === undefined || !['http:', 'https:'].includes(relay.protocol)) throw new UsageError('relay is an http or https URL');
  if (options.key !== undefined && !/^[\x21-\x7e]+$/.test(options.key)) throw new UsageError('key is visible ASCII without spaces');
  for (const identity of typeof options.identities === 'string' ? [] : options.identities)
    if (!(identity instanceof Uint8Array) || identity.length !== 32) throw new UsageError('an identity is a Uint8Array of 32 bytes');
  for (const time of [options.h2Timeout, options.idleTimeout])
    if (!(time > 0)) throw new UsageError('a timeout is a positive number of milliseconds');
}

/** Takes an application's request apart. */
async function readRequest(settings: Settings, input: string | URL | Request, init: RequestInit | undefined): Promise<Wanted> {
  const target = input instanceof Request ? input : new URL(input, 'https://sealed.invalid');
  const request = new Request(target, { ...init, ...(init?.body instanceof ReadableStream ? { duplex: 'half' } : {}) } as RequestInit);
  const streamed = settings.label !== undefined && settings.attempts === 1 && init?.body instanceof ReadableStream && request.body !== null;
  const body = streamed && request.body !== null ? request.body : new Uint8Array(await request.arrayBuffer());
  const url = new URL(request.url);
  return {
    method: request.method,
    path: url.pathname + url.search,
    fields: [...request.headers],
    label: settings.label ?? labelOf(body),
    body,
    signal: request.signal,
  };
}

function labelOf(body: Uint8Array | ReadableStream<Uint8Array>): string {
  try {
    const model: unknown = (JSON.parse(new TextDecoder().decode(body as Uint8Array)) as { model?: unknown }).model;
    if (typeof model === 'string') return model;
  } catch {
    // falls through
  }
  throw new UsageError('no label: neither in the options nor as `model` of a JSON body');
}

/** Makes attempts until one gets past its handshake, or must not be repeated (A-8, H6). */
async function run(settings: Settings, wanted: Wanted): Promise<Response> {
  const requestId = makeContext({ label: wanted.label }).requestId;
  let carried: Uint8Array | undefined;
  let lastTry = settings.attempts;
  for (let attempt = 1; ; attempt++) {
    wanted.signal.throwIfAborted();
    try {
      const bundle = await findBundle(settings, wanted, carried);
      const context = makeContext({
        label: wanted.label,
        requestId,
        attempt,
        ...(settings.billing === undefined ? {} : { billing: settings.billing }),
      });
      const handshake = new ClientHandshake(bundle, context, {
        early: settings.earlyData,
        ...(settings.padding?.request === undefined ? {} : { padding: settings.padding.request }),
      });
      return await new SealedExchange(settings, wanted, handshake).run();
    } catch (error) {
      if (!(error instanceof RelayError) || wanted.signal.aborted) throw error;
      if (error.code === 'auth' || error.code === 'quota' || error.code === 'too-large') throw error;
      if (error.code === 'refused' || error.code === 'replayed' || error.code === 'internal') lastTry = Math.min(lastTry, attempt + 1);
      if (attempt >= lastTry) throw error;
      carried = error.bundle;
      if (error.code === 'busy' || error.code === 'gone') await new Promise((resolve) => setTimeout(resolve, 250 * attempt));
    }
  }
}

/** A bundle that passes all checks (H-24): the one that came with `key-unknown`, or one of discovery. */
async function findBundle(settings: Settings, wanted: Wanted, carried: Uint8Array | undefined): Promise<VerifiedBundle> {
  const policy: BundlePolicy = {
    suites: settings.suites,
    label: wanted.label,
    singleUseRequired: settings.singleUse,
    identities: settings.identities,
  };
  if (carried !== undefined) {
    try {
      return verifyBundle(carried, policy);
    } catch {
      // dropped (H-30)
    }
  }
  const suite = settings.suites.length === 1 ? settings.suites[0] : undefined;
  const url = discoveryUrl(settings.relay, { label: wanted.label, singleUse: settings.singleUse, suite });
  const { response, body } = await within(Math.min(settings.h2Timeout, DISCOVERY_MS), wanted.signal, async (signal) => {
    const response = await reach(settings.transport.get(url, authorization(settings.key), signal), wanted.signal);
    return { response, body: await readBounded(response) };
  });
  if (response.status !== 200) throw readProblem(response.status, response.fields, body);
  let failure: unknown = new RelayError('key-unknown', response.status);
  for (const bytes of readDiscoveryAnswer(new TextDecoder().decode(body))) {
    try {
      return verifyBundle(bytes, policy);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

/** Work that is given up after a time, as `gone`, or when the application's signal says so. */
async function within<T>(milliseconds: number, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const stopped = new Promise<never>((_resolve, reject) => stop.signal.addEventListener('abort', () => reject(stop.signal.reason)));
  const follow = (): void => stop.abort(signal.reason);
  signal.addEventListener('abort', follow, { once: true });
  if (signal.aborted) follow();
  const late = new Error(`no answer within ${milliseconds} ms`);
  const timer = setTimeout(() => stop.abort(new RelayError('gone', undefined, undefined, { cause: late })), milliseconds);
  try {
    return await Promise.race([work(stop.signal), stopped]);
  } catch (error) {
    throw stop.signal.aborted ? stop.signal.reason : error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', follow);
  }
}

/** A network failure before a response is `gone`: the request may or may not have arrived. */
async function reach(response: Promise<OuterResponse>, signal: AbortSignal): Promise<OuterResponse> {
  try {
    return await response;
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (error instanceof SealwireError || error instanceof RelayError) throw error;
    throw new RelayError('gone', undefined, undefined, { cause: error });
  }
}

async function readBounded(response: OuterResponse): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  try {
    for (;;) {
      const { done, value } = await response.body.read();
      if (done) return concatAll(parts);
      length += value.length;
      if (length > MAX_ANSWER) throw new RelayError('internal', response.status);
      parts.push(value);
    }
  } catch (error) {
    void response.body.cancel().catch(() => undefined);
    throw error instanceof RelayError ? error : new RelayError('gone', response.status, undefined, { cause: error });
  }
}

/** One attempt on the wire. */
class SealedExchange {
  readonly #settings: Settings;
  readonly #wanted: Wanted;
  readonly #handshake: ClientHandshake;
  readonly #exchange: Exchange;
  readonly #seen: { last: Receipt | undefined } = { last: undefined };
  #failure: { error: unknown } | undefined;
  #stream: ClientStream | undefined;
  #body: ReadableStreamDefaultReader<Uint8Array> | undefined;

  constructor(settings: Settings, wanted: Wanted, handshake: ClientHandshake) {
    this.#settings = settings;
    this.#wanted = wanted;
    this.#handshake = handshake;
    const url = resourceUrl(settings.relay, PATH_REQUESTS);
    this.#exchange = settings.transport.open(url, sealedRequestFields(handshake.context.bytes, settings.key));
  }

  async run(): Promise<Response> {
    const { signal } = this.#wanted;
    const aborted = (): void => this.#close(signal.reason);
    signal.addEventListener('abort', aborted, { once: true });
    try {
      return await this.#run(() => signal.removeEventListener('abort', aborted));
    } catch (error) {
      signal.removeEventListener('abort', aborted);
      this.#close(error);
      throw this.#failure?.error ?? error;
    }
  }

  async #run(settled: () => void): Promise<Response> {
    const uploading = this.#settings.earlyData === 'allow';
    const failed = (error: unknown): void => this.#close(error);
    (uploading ? this.#upload(this.#handshake.h1) : this.#exchange.write(this.#handshake.h1)).catch(failed);
    const rest = await this.#readH2();
    if (!uploading) this.#upload(new Uint8Array(0)).catch(failed);
    const stream = this.#stream as ClientStream;
    const reader = new AnswerReader(stream, {}, (receipt) => {
      this.#seen.last = receipt;
      this.#settings.onReceipt?.(receipt);
    });
    const pieces = this.#pieces(reader, rest);
    const first = await pieces.next();
    if (first.done === true || first.value.head === undefined) throw new SealwireError('truncated');
    const response = await this.#respond(first.value.head, first.value, pieces, settled);
    receipts.set(response, this.#seen);
    return response;
  }

  /** Seals the request's message and sends it; the first bytes go with it. */
  async #upload(first: Uint8Array): Promise<void> {
    const { method, path, fields, body } = this.#wanted;
    const { sealer } = this.#handshake;
    const head = sealedRequestHead({ method, path, fields }, Math.floor(Date.now() / 1000), this.#settings.padding?.response ?? 'none');
    if (body instanceof Uint8Array) {
      sealer.final(concat(head, encodeContent(body), encodeEnd()));
      await this.#exchange.write(concat(first, sealer.take()));
    } else {
      sealer.data(head);
      await this.#exchange.write(concat(first, sealer.take()));
      const source = body.getReader();
      for (;;) {
        const { done, value } = await source.read().catch((error: unknown) => {
          this.#close(error);
          throw error;
        });
        if (sealer.ended) return;
        if (done) break;
        if (value.length > 0) sealer.data(encodeContent(value));
        await this.#exchange.write(sealer.take());
      }
      sealer.final(encodeEnd());
      await this.#exchange.write(sealer.take());
    }
    await this.#exchange.end();
  }

  /** Waits for the response's head and H2, at most until the deadline (S-3); gives the bytes behind H2. */
  async #readH2(): Promise<Uint8Array> {
    const timer = setTimeout(() => this.#close(this.#handshake.fail('handshake-timeout')), this.#settings.h2Timeout);
    try {
      const response = await reach(this.#exchange.response, this.#wanted.signal).catch((error: unknown) => {
        throw this.#failure?.error ?? error;
      });
      this.#body = response.body;
      if (!isSealedResponse(response.status, response.fields))
        throw readProblem(response.status, response.fields, await readBounded(response));
      let head: Uint8Array = new Uint8Array(0);
      for (;;) {
        const { done, value } = await this.#read();
        if (done) throw this.#handshake.fail('truncated');
        head = concat(head, value);
        this.#handshake.checkH2Head(head);
        const { h2Bytes } = this.#handshake;
        if (head.length < h2Bytes) continue;
        this.#stream = this.#handshake.readH2(head.subarray(0, h2Bytes));
        return head.subarray(h2Bytes);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Reads from the response's body; a broken transport is an end, which the receiver calls `truncated`. */
  async #read(): Promise<{ done: true; value?: undefined } | { done: false; value: Uint8Array }> {
    const timer = setTimeout(
      () => this.#close(new SealwireError('truncated', 'the answer was silent for too long')),
      this.#settings.idleTimeout,
    );
    try {
      const read = await (this.#body as ReadableStreamDefaultReader<Uint8Array>).read();
      if (this.#failure !== undefined) throw this.#failure.error;
      return read.done ? { done: true } : { done: false, value: read.value };
    } catch {
      if (this.#failure !== undefined) throw this.#failure.error;
      return { done: true };
    } finally {
      clearTimeout(timer);
    }
  }

  /** Verified pieces of the answer, to its verified end. */
  async *#pieces(reader: AnswerReader, rest: Uint8Array): AsyncGenerator<AnswerPiece, void> {
    let bytes = rest;
    for (;;) {
      for (const piece of reader.pieces(bytes)) yield piece;
      if (reader.ended) return;
      const { done, value } = await this.#read();
      if (done) {
        reader.finish();
        return;
      }
      bytes = value;
    }
  }

  async #respond(
    head: ResponseHead,
    first: AnswerPiece,
    pieces: AsyncGenerator<AnswerPiece, void>,
    settled: () => void,
  ): Promise<Response> {
    const init = { status: head.status, headers: head.fields.map(([name, value]): [string, string] => [name, value]) };
    const ended = (): void => {
      settled();
      this.#end();
    };
    if (head.status === 204 || head.status === 205 || head.status === 304) {
      if (!first.end) for await (const piece of pieces) if (piece.end) break;
      ended();
      return new Response(null, init);
    }
    let next: AnswerPiece | undefined = first;
    const pull = async (controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> => {
      try {
        for (;;) {
          const piece: AnswerPiece | undefined = next ?? (await pieces.next()).value ?? undefined;
          next = undefined;
          if (piece === undefined) throw new SealwireError('truncated');
          if (piece.content.length > 0) controller.enqueue(piece.content);
          if (piece.end) {
            controller.close();
            return ended();
          }
          if (piece.content.length > 0) return;
        }
      } catch (error) {
        settled();
        this.#close(error);
        controller.error(this.#failure?.error ?? error);
      }
    };
    const cancel = (reason: unknown): void => {
      settled();
      this.#close(reason);
    };
    return new Response(new ReadableStream<Uint8Array>({ pull, cancel }, { highWaterMark: 0 }), init);
  }

  /** After the verified end: lets the exchange run out for a moment, then closes it. */
  #end(): void {
    this.#stream?.close();
    const body = this.#body;
    const timer = setTimeout(() => this.#exchange.close(), 1_000);
    void (async () => {
      try {
        for (let read; body !== undefined && (read = await body.read()) && !read.done;);
      } catch {
        // what comes after FINAL says nothing
      }
      clearTimeout(timer);
      this.#exchange.close();
    })();
  }

  #close(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = { error };
    if (this.#stream === undefined) this.#handshake.fail('truncated');
    this.#stream?.close();
    void this.#body?.cancel().catch(() => undefined);
    this.#exchange.close();
  }
}
