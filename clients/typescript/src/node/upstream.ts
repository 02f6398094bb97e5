/** The call to the model server (http sections 7.3 and 7.4). */

import { request as httpRequest, type IncomingMessage } from 'node:http';
import { concatAll, utf8Text } from '../bytes.js';
import type { Field } from '../bhttp.js';
import { MessageError } from '../errors.js';
import { answeredFields, withUsage, type AcceptedRequest } from '../inner.js';
import { eventData, EventSplitter, isDone, isEventStream } from '../sse.js';

/** Bytes of a JSON answer that are kept to find its usage and to see that it is whole. */
const MAX_JSON = 64 * 1024 * 1024;

/** Tokens that the model server reported. */
export interface Usage {
  readonly tokensIn: bigint;
  readonly tokensOut: bigint;
  readonly tokensCached: bigint;
}

/** A failure of the model server. With a status it comes before the head, else within the answer. */
export class UpstreamError extends Error {
  readonly status: 502 | 504 | undefined;
  readonly silent: boolean;

  constructor(status: 502 | 504 | undefined, silent: boolean, message: string) {
    super(message);
    this.status = status;
    this.silent = silent;
  }
}

/** Times in milliseconds. */
export interface UpstreamTimes {
  readonly head: number;
  readonly silence: number;
}

function count(value: unknown): bigint {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? BigInt(value) : 0n;
}

/** The usage of a JSON text, if it reports one (H7.4), and whether it is the extra event that has no choices. */
function usageOf(text: string): { usage: Usage | undefined; extra: boolean } {
  try {
    const value = JSON.parse(text) as { usage?: Record<string, unknown> | null; choices?: unknown } | null;
    const usage = value?.usage;
    const tokens = usage?.['prompt_tokens'];
    if (usage === null || usage === undefined || typeof tokens !== 'number' || !Number.isSafeInteger(tokens) || tokens < 0) {
      return { usage: undefined, extra: false };
    }
    const details = usage['prompt_tokens_details'] as { cached_tokens?: unknown } | null | undefined;
    return {
      usage: { tokensIn: BigInt(tokens), tokensOut: count(usage['completion_tokens']), tokensCached: count(details?.cached_tokens) },
      extra: Array.isArray(value?.choices) && value.choices.length === 0,
    };
  } catch {
    return { usage: undefined, extra: false };
  }
}

/** An answer of the model server, piece by piece. */
export class UpstreamAnswer {
  readonly status: number;
  readonly fields: Field[];
  usage: Usage | undefined;
  readonly #message: IncomingMessage;
  readonly #silence: number;
  readonly #events: boolean;
  readonly #hideUsage: boolean;

  constructor(message: IncomingMessage, silence: number, hideUsage: boolean) {
    this.#message = message;
    this.#silence = silence;
    this.#hideUsage = hideUsage;
    this.status = message.statusCode ?? 0;
    const fields: Field[] = [];
    for (let i = 0; i + 1 < message.rawHeaders.length; i += 2)
      fields.push([message.rawHeaders[i] as string, message.rawHeaders[i + 1] as string]);
    this.fields = answeredFields(fields);
    this.#events = isEventStream(message.headers['content-type'] ?? '');
  }

  /**
   * Events of an event stream, or bytes of another answer, as they come; ends only if the answer ended properly (H-48).
   * @throws UpstreamError
   */
  async *pieces(): AsyncGenerator<Uint8Array, void> {
    const splitter = new EventSplitter();
    const whole: Uint8Array[] = [];
    let kept = 0;
    let done = false;
    for await (const bytes of this.#bytes()) {
      if (!this.#events) {
        kept += bytes.length;
        if (kept <= MAX_JSON) whole.push(bytes);
        yield bytes;
        continue;
      }
      for (const event of this.#split(splitter, bytes)) {
        const { usage, extra } = usageOf(eventData(event) ?? '');
        this.usage = usage ?? this.usage;
        done = isDone(event);
        if (!(this.#hideUsage && extra)) yield event;
      }
    }
    const text = this.#events || kept > MAX_JSON ? undefined : utf8Text(concatAll(whole));
    if (text !== undefined) this.usage = usageOf(text).usage;
    const { headers } = this.#message;
    const framed = this.status === 204 || headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined;
    const proper = this.#message.complete && (this.#events ? splitter.rest.length === 0 && (framed || done) : framed || isJson(text));
    if (!proper) throw new UpstreamError(undefined, false, 'the model server broke off');
  }

  /** Gives the call up. */
  close(): void {
    this.#message.destroy();
  }

  #split(splitter: EventSplitter, bytes: Uint8Array): Uint8Array[] {
    try {
      return splitter.push(bytes);
    } catch (error) {
      if (error instanceof MessageError) throw new UpstreamError(undefined, false, error.message);
      throw error;
    }
  }

  async *#bytes(): AsyncGenerator<Uint8Array, void> {
    let silent = false;
    const timer = setTimeout(() => {
      silent = true;
      this.#message.destroy();
    }, this.#silence);
    try {
      for await (const chunk of this.#message) {
        timer.refresh();
        yield new Uint8Array(chunk as Buffer);
      }
    } catch {
      throw new UpstreamError(undefined, silent, silent ? 'the model server was silent for too long' : 'the model server broke off');
    } finally {
      clearTimeout(timer);
    }
    if (silent) throw new UpstreamError(undefined, true, 'the model server was silent for too long');
  }
}

function isJson(text: string | undefined): boolean {
  try {
    JSON.parse(text ?? '');
    return true;
  } catch {
    return false;
  }
}

/**
 * Calls the model server.
 * @param base its base URL. @param signal aborts the call.
 * @throws UpstreamError 502 or 504 before the head.
 */
export function callUpstream(base: string, request: AcceptedRequest, times: UpstreamTimes, signal: AbortSignal): Promise<UpstreamAnswer> {
  const { content, added } = request.method === 'POST' ? withUsage(request.content) : { content: request.content, added: false };
  const headers: Record<string, string | number> = { ...Object.fromEntries(request.fields), 'accept-encoding': 'identity' };
  if (request.method === 'POST') headers['content-length'] = content.length;
  return new Promise((resolve, reject) => {
    let silent = false;
    const call = httpRequest(base.replace(/\/+$/, '') + request.path, { method: request.method, headers, agent: false, signal });
    const timer = setTimeout(() => {
      silent = true;
      call.destroy();
    }, times.head);
    call.on('response', (message) => {
      clearTimeout(timer);
      const status = message.statusCode ?? 0;
      const coding = message.headers['content-encoding'] ?? 'identity';
      if (status < 200 || status > 599 || (status >= 300 && status < 400) || coding.toLowerCase() !== 'identity') {
        message.destroy();
        return reject(new UpstreamError(502, false, 'the model server answered with something that is not passed on'));
      }
      resolve(new UpstreamAnswer(message, times.silence, added));
    });
    const failed = (): void => {
      clearTimeout(timer);
      reject(
        new UpstreamError(
          silent ? 504 : 502,
          silent,
          silent ? 'the model server did not answer in time' : 'the model server cannot be reached',
        ),
      );
    };
    call.on('error', failed);
    call.on('close', failed);
    call.end(content);
  });
}
