/** How sealed requests travel: an interface, and its half-duplex implementation over `fetch` (http section 4). */

import { concatAll } from './bytes.js';
import type { Field } from './bhttp.js';

/** An outer response, as it comes. */
export interface OuterResponse {
  readonly status: number;
  readonly fields: readonly Field[];
  readonly body: ReadableStreamDefaultReader<Uint8Array>;
}

/** One exchange with a server: a request's body that is written, and a response. */
export interface Exchange {
  /** Adds bytes to the request's body; resolves when there is room for more. Failures show in `response`, not here. */
  write(bytes: Uint8Array): Promise<void>;
  /** Ends the request's body. */
  end(): Promise<void>;
  /** The response, once its head is there. */
  readonly response: Promise<OuterResponse>;
  /** Closes the exchange, which cancels it (H3). */
  close(): void;
}

/** A way to reach a relay or an instance. It never retries, follows a redirect or uses a cache (H-9). */
export interface Transport {
  /** `full`: a response can be read while the request's body is open. */
  readonly duplex: 'full' | 'half';
  /** Opens a POST. */
  open(url: string, fields: Record<string, string>): Exchange;
  /** Does a GET. */
  get(url: string, fields: Record<string, string>, signal: AbortSignal): Promise<OuterResponse>;
}

function outer(response: Response): OuterResponse {
  const empty = new ReadableStream<Uint8Array>({ start: (controller) => controller.close() });
  return { status: response.status, fields: [...response.headers], body: (response.body ?? empty).getReader() };
}

/**
 * A transport over `fetch`, for browsers and everything else that has one. It is half duplex: the body goes out in one
 * piece when it is whole, and the response is read afterwards.
 * @param fetcher default: the global `fetch`.
 */
export function fetchTransport(fetcher: typeof fetch = (...args) => fetch(...args)): Transport {
  const common = { cache: 'no-store', redirect: 'manual', credentials: 'omit', referrerPolicy: 'no-referrer' } as const;
  return {
    duplex: 'half',
    open(url, fields) {
      const abort = new AbortController();
      const parts: Uint8Array[] = [];
      let resolve: (response: OuterResponse) => void;
      let reject: (error: unknown) => void;
      const response = new Promise<OuterResponse>((yes, no) => {
        resolve = yes;
        reject = no;
      });
      response.catch(() => undefined);
      abort.signal.addEventListener('abort', () => reject(abort.signal.reason));
      return {
        response,
        write: async (bytes) => void parts.push(bytes),
        end: async () => {
          const body = concatAll(parts) as Uint8Array<ArrayBuffer>;
          parts.length = 0;
          fetcher(url, { ...common, method: 'POST', headers: fields, body, signal: abort.signal }).then((r) => resolve(outer(r)), reject);
        },
        close: () => abort.abort(),
      };
    },
    get: async (url, fields, signal) => outer(await fetcher(url, { ...common, headers: fields, signal })),
  };
}
