/** An instance as an HTTP server: the resources of http section 1, in front of an OpenAI-compatible model server. */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { encodeContent, encodeEnd, encodeResponseHead, MessageFault, MessageReader, type Field, type RequestHead } from '../bhttp.js';
import { concat, concatAll, toBase64url, utf8, utf8Text } from '../bytes.js';
import { MessageError, RelayError, SealedRefusal, SealwireError, streamCode, type RelayCode } from '../errors.js';
import { apiError, judgeContent, judgeHead, passedFields, refusalOf, type AcceptedRequest, type PaddingWish } from '../inner.js';
import { checkH1Head, relayCodeOf, type Instance, type InstanceStream } from '../instance.js';
import { INTERIM_ROUNDING } from '../limits.js';
import {
  discoveryAnswer,
  MEDIA_RESPONSE,
  PATH_BUNDLES,
  PATH_INSTANCE,
  PATH_REQUESTS,
  problemDocument,
  readDiscoveryQuery,
  readSealedRequestFields,
} from '../outer.js';
import { parseContext } from '../context.js';
import { RECEIPT_FINAL, RECEIPT_INTERIM, RECEIPT_REQUEST_COMPLETE, RECEIPT_USAGE_KNOWN } from '../receipt.js';
import { AnswerWriter } from './answer-writer.js';
import { callUpstream, UpstreamError, type UpstreamAnswer, type UpstreamTimes, type Usage } from './upstream.js';

/** Options of {@link createInstanceServer}; times in milliseconds. */
export interface InstanceServerOptions {
  readonly instance: Instance;
  /** Labels that are served. */
  readonly labels: readonly string[];
  /** Numbers of the suites that are served; default both. */
  readonly suites?: readonly number[];
  /** Base URL of the model server, plain http. */
  readonly upstream: string;
  /** Streams at a time, above which the answer is `busy`; default 256. */
  readonly maxStreams?: number;
  /** The instance's own padding of s2c, a lower bound of what it does; default "none". */
  readonly padding?: PaddingWish;
  /** Bytes of a request's content; default 64 MiB. */
  readonly maxContent?: number;
  readonly times?: Partial<ServerTimes>;
}

/** Times in milliseconds (http section 2). */
export interface ServerTimes extends UpstreamTimes {
  /** For H1, from the head of the HTTP request. */
  readonly h1: number;
  /** Silence within c2s. */
  readonly requestIdle: number;
  /** The whole of c2s. */
  readonly request: number;
  /** Between interim receipts. */
  readonly interim: number;
}

/** Milliseconds between looks for keys that are too old. */
const SWEEP = 5_000;

const TIMES: ServerTimes = { h1: 10_000, requestIdle: 30_000, request: 600_000, interim: 10_000, head: 60_000, silence: 120_000 };
const WISHES: readonly PaddingWish[] = ['none', 'padme', 'buckets', 'constant'];

type Settings = Required<Omit<InstanceServerOptions, 'times'>> & { readonly times: ServerTimes };

/**
 * Makes the server; call `listen` on it. Closing it does not end streams that run.
 * @throws UsageError for labels that are none, once they are asked for.
 */
export function createInstanceServer(options: InstanceServerOptions): Server {
  const settings: Settings = {
    suites: [1, 2],
    maxStreams: 256,
    padding: 'none',
    maxContent: 64 * 1024 * 1024,
    ...options,
    times: { ...TIMES, ...options.times },
  };
  const streams = new Set<ServedStream>();
  const server = createServer({ requestTimeout: 0 }, (request, response) => {
    route(settings, streams, request, response).catch(() => response.destroy());
  });
  const sweeper = setInterval(() => settings.instance.sweep(SWEEP), SWEEP);
  server.on('close', () => clearInterval(sweeper));
  sweeper.unref();
  return server;
}

function send(response: ServerResponse, status: number, fields: Record<string, string>, body: string): void {
  response.writeHead(status, { ...fields, 'content-length': String(utf8(body).length) });
  response.end(body);
}

function sendProblem(response: ServerResponse, code: RelayCode, options: { status?: number; bundle?: Uint8Array } = {}): void {
  const problem = problemDocument(code, options);
  send(response, problem.status, problem.fields, problem.body);
}

async function route(settings: Settings, streams: Set<ServedStream>, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [path = '', ...query] = (request.url ?? '').split('?');
  const method = request.method ?? '';
  response.on('error', () => undefined);
  if (method === 'POST' && path === PATH_REQUESTS) return serve(settings, streams, request, response);
  request.resume();
  if (method === 'GET' && path === '/healthz') return send(response, 200, { 'content-type': 'text/plain' }, 'ok\n');
  if (method === 'GET' && path === PATH_INSTANCE) return describe(settings, response);
  if (method === 'GET' && path === PATH_BUNDLES) return bundles(settings, query.join('?'), response);
  return sendProblem(response, 'refused', { status: 404 });
}

const JSON_FIELDS = { 'content-type': 'application/json', 'cache-control': 'no-store' };

function describe(settings: Settings, response: ServerResponse): void {
  const { instance, labels, suites } = settings;
  send(response, 200, JSON_FIELDS, JSON.stringify({ identity: toBase64url(instance.identity), labels, suites }));
}

function bundles(settings: Settings, query: string, response: ServerResponse): void {
  try {
    const { label, singleUse, suite } = readDiscoveryQuery(query);
    if (!settings.labels.includes(label)) return sendProblem(response, 'key-unknown', { status: 404 });
    const suites = [...settings.suites].sort((a, b) => b - a).filter((id) => suite === undefined || id === suite);
    const made = suites.map((id) =>
      singleUse ? settings.instance.singleUseBundle(utf8(label), id) : settings.instance.bundle(utf8(label), id),
    );
    const whole = made.filter((bundle) => bundle !== undefined);
    if (whole.length < made.length) return sendProblem(response, 'busy');
    return send(response, 200, JSON_FIELDS, discoveryAnswer(whole));
  } catch (error) {
    return sendProblem(response, error instanceof RelayError ? error.code : 'internal');
  }
}

/** Serves a sealed request up to H2, then hands it to a {@link ServedStream}. */
async function serve(settings: Settings, streams: Set<ServedStream>, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const source = new Source(request);
  const refuse = (code: RelayCode, bundle?: Uint8Array): void => {
    response.shouldKeepAlive = false;
    sendProblem(response, code, bundle === undefined ? {} : { bundle });
    source.discard();
  };
  const fields: Field[] = [];
  for (let i = 0; i + 1 < request.rawHeaders.length; i += 2)
    fields.push([request.rawHeaders[i] as string, request.rawHeaders[i + 1] as string]);
  let context: Uint8Array;
  let head: Uint8Array = new Uint8Array(0);
  let accepted: InstanceStream;
  try {
    context = readSealedRequestFields(fields);
    const deadline = Date.now() + settings.times.h1;
    let length: number | undefined;
    while ((length = checkH1Head(head)) === undefined || head.length < length) {
      const bytes = await source.read(deadline - Date.now());
      if (!(bytes instanceof Uint8Array)) return refuse('refused');
      head = concat(head, bytes);
    }
    const capacity = streams.size < settings.maxStreams;
    accepted = settings.instance.accept(context, head.subarray(0, length), { capacity });
    head = head.subarray(length);
  } catch (error) {
    if (error instanceof RelayError) return refuse(error.code);
    if (!(error instanceof SealwireError)) return refuse('internal');
    const code = relayCodeOf(error);
    return refuse(code, code === 'key-unknown' ? freshBundle(settings, fields, head) : undefined);
  }
  const stream = new ServedStream(settings, accepted, source, response);
  streams.add(stream);
  try {
    await stream.run(head);
  } finally {
    streams.delete(stream);
    accepted.close();
  }
}

/** A multi-use bundle for the label and suite of a request whose key is not held; none if they are not served. */
function freshBundle(settings: Settings, fields: readonly Field[], h1: Uint8Array): Uint8Array | undefined {
  try {
    const label = utf8Text(parseContext(readSealedRequestFields(fields)).label) ?? '';
    const suite = ((h1[3] ?? 0) << 8) | (h1[4] ?? 0);
    return settings.labels.includes(label) && settings.suites.includes(suite) ? settings.instance.bundle(utf8(label), suite) : undefined;
  } catch {
    return undefined;
  }
}

/** Reads a request's body with a limit on silence. */
class Source {
  readonly #iterator: AsyncIterator<Buffer>;
  readonly #request: IncomingMessage;
  #reading: Promise<IteratorResult<Buffer>> | undefined;

  constructor(request: IncomingMessage) {
    this.#request = request;
    this.#iterator = request[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  /** Bytes, or why there are none: the body's end (however it ended), or silence for so many milliseconds. */
  async read(ms: number): Promise<Uint8Array | 'end' | 'silence'> {
    this.#reading ??= this.#iterator.next();
    let timer: NodeJS.Timeout | undefined;
    const silence = new Promise<'silence'>((resolve) => (timer = setTimeout(() => resolve('silence'), Math.max(0, ms))));
    try {
      const result = await Promise.race([this.#reading, silence]);
      if (result === 'silence') return 'silence';
      this.#reading = undefined;
      return result.done === true ? 'end' : new Uint8Array(result.value);
    } catch {
      return 'end';
    } finally {
      clearTimeout(timer);
    }
  }

  /** Reads and drops what is left of the body for up to five seconds, so that an answer is not lost with the connection. */
  discard(): void {
    if (this.#request.complete) return;
    const timer = setTimeout(() => this.#request.destroy(), 5_000);
    this.#request.on('close', () => clearTimeout(timer));
    void (async () => {
      while ((await this.read(5_000)) instanceof Uint8Array);
    })();
  }
}

/** An ERROR that ends s2c. */
class EndWithError extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** One accepted stream, from H2 to the end of s2c. */
class ServedStream {
  readonly #settings: Settings;
  readonly #stream: InstanceStream;
  readonly #source: Source;
  readonly #response: ServerResponse;
  readonly #writer: AnswerWriter;
  readonly #abort = new AbortController();
  #complete = false;
  #status = 0;
  #answer: UpstreamAnswer | undefined;

  constructor(settings: Settings, stream: InstanceStream, source: Source, response: ServerResponse) {
    this.#settings = settings;
    this.#stream = stream;
    this.#source = source;
    this.#response = response;
    this.#writer = new AnswerWriter(stream.sealer, settings.padding, (bytes) => this.#send(bytes));
    this.#writer.setPolicy(settings.padding);
  }

  /** @param first bytes of c2s that came with H1. */
  async run(first: Uint8Array): Promise<void> {
    const closed = (): void => this.#abort.abort();
    this.#response.on('close', closed);
    this.#response.writeHead(200, { 'content-type': MEDIA_RESPONSE, 'cache-control': 'no-store, no-transform', 'x-accel-buffering': 'no' });
    await this.#send(this.#stream.h2);
    const clock = setInterval(() => void this.#interim(), this.#settings.times.interim);
    try {
      await this.#answerTo(await this.#request(first));
      await this.#end();
    } catch (error) {
      await this.#fail(error);
    } finally {
      clearInterval(clock);
      this.#writer.stop();
    }
    this.#response.off('close', closed);
    this.#response.end();
    this.#source.discard();
  }

  async #send(bytes: Uint8Array): Promise<void> {
    if (this.#response.destroyed) throw new EndWithError(2, 'cancelled');
    if (!this.#response.write(bytes)) {
      await new Promise<void>((resolve) => {
        const go = (): void => {
          this.#response.off('drain', go).off('close', go);
          resolve();
        };
        this.#response.on('drain', go).on('close', go);
      });
    }
  }

  /** Reads c2s to its verified FINAL. @throws SealedRefusal, EndWithError */
  async #request(first: Uint8Array): Promise<AcceptedRequest> {
    const { times, maxContent } = this.#settings;
    const { opener, context } = this.#stream;
    const reader = new MessageReader<RequestHead>('request', { maxContent });
    const deadline = Date.now() + times.request;
    const content: Uint8Array[] = [];
    let bytes: Uint8Array | 'end' | 'silence' = first;
    try {
      for (;;) {
        if (!(bytes instanceof Uint8Array)) {
          if (bytes === 'silence') throw new EndWithError(7, 'the request was silent for too long');
          opener.finish();
          throw new EndWithError(7, 'the request ended early');
        }
        opener.push(bytes);
        for (let event; (event = opener.next()) !== undefined;) {
          if (event.type === 'error') throw new EndWithError(2, 'the client gave up');
          reader.push(event.bytes);
          content.push(reader.takeContent());
          if (event.type !== 'final') continue;
          this.#complete = true;
          reader.finish();
          if (reader.head === undefined) throw new MessageFault('malformed', 'malformed HTTP message');
          return this.#judge(reader.head, concatAll(content), utf8Text(context.label) ?? '');
        }
        bytes = await this.#source.read(Math.min(times.requestIdle, deadline - Date.now()));
      }
    } catch (error) {
      if (error instanceof MessageFault) throw refusalOf(error);
      if (error instanceof SealwireError) throw new EndWithError(streamCode(error.code), error.code);
      throw error;
    }
  }

  /** Judges a whole request; from its head on, the client's wish for padding counts. @throws SealedRefusal */
  #judge(head: RequestHead, content: Uint8Array, label: string): AcceptedRequest {
    const padding = judgeHead(head, content.length > 0, BigInt(Math.floor(Date.now() / 1000)));
    const policy = Math.max(WISHES.indexOf(padding), WISHES.indexOf(this.#settings.padding));
    this.#writer.setPolicy(WISHES[policy] ?? 'none');
    judgeContent(head.method, content, label);
    return { method: head.method as 'GET' | 'POST', path: head.path, fields: passedFields(head.fields), padding, content };
  }

  /** Calls the model server and passes its answer on. */
  async #answerTo(request: AcceptedRequest): Promise<void> {
    const { upstream, times } = this.#settings;
    try {
      this.#answer = await callUpstream(upstream, request, times, this.#abort.signal);
      await this.#head(this.#answer.status, this.#answer.fields);
      for await (const piece of this.#answer.pieces()) await this.#writer.write(encodeContent(piece));
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error;
      if (error.status === undefined) throw new EndWithError(error.silent ? 4 : 3, error.message);
      return this.#refusal(error.status, error.message, 'upstream_error');
    }
    await this.#writer.write(encodeEnd());
  }

  async #head(status: number, fields: readonly Field[]): Promise<void> {
    this.#status = status;
    await this.#writer.write(
      encodeResponseHead({ status, fields: fields.filter(([, value]) => !/[\u0000-\u0008\u000a-\u001f\u007f]/.test(value)) }),
    );
  }

  async #refusal(status: number, message: string, type: string): Promise<void> {
    const body = apiError(message, type);
    await this.#head(status, [['content-type', 'application/json']]);
    await this.#writer.write(concat(encodeContent(body), encodeEnd()));
  }

  /** The final receipt and FINAL. */
  async #end(): Promise<void> {
    await this.#writer.drain();
    this.#receipt(RECEIPT_FINAL);
    this.#stream.sealer.final();
    await this.#writer.flush();
  }

  async #fail(error: unknown): Promise<void> {
    this.#abort.abort();
    this.#answer?.close();
    try {
      if (error instanceof SealedRefusal) {
        await this.#refusal(error.status, error.message, 'invalid_request_error');
        return await this.#end();
      }
      await this.#writer.drain();
      const [code, message] =
        error instanceof EndWithError ? [error.code, error.message] : error instanceof MessageError ? [3, 'upstream'] : [1, ''];
      this.#receipt(RECEIPT_FINAL);
      this.#stream.sealer.error(code, message);
      await this.#writer.flush();
    } catch {
      this.#response.destroy();
    }
  }

  async #interim(): Promise<void> {
    if (!this.#writer.interim || this.#stream.sealer.ended || this.#response.destroyed) return;
    try {
      this.#receipt(RECEIPT_INTERIM);
      await this.#writer.flush();
    } catch {
      this.#response.destroy();
    }
  }

  #receipt(kind: number): void {
    const usage = this.#answer?.usage;
    const round = (count: bigint): bigint => {
      const step = BigInt(INTERIM_ROUNDING);
      return kind === RECEIPT_INTERIM ? ((count + step - 1n) / step) * step : count;
    };
    const counts: Usage = usage ?? { tokensIn: 0n, tokensOut: 0n, tokensCached: 0n };
    this.#stream.receipt({
      kind,
      flags: (this.#complete ? RECEIPT_REQUEST_COMPLETE : 0) | (usage === undefined ? 0 : RECEIPT_USAGE_KNOWN),
      status: this.#status,
      tokensIn: round(counts.tokensIn),
      tokensOut: round(counts.tokensOut),
      tokensCached: round(counts.tokensCached),
      time: BigInt(Math.floor(Date.now() / 1000)),
    });
  }
}
