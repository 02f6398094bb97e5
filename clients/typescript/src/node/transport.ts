/** A full-duplex transport over HTTP/1.1 for Node: the answer is read while the request's body is open (http section 4). */

import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Field } from '../bhttp.js';
import type { OuterResponse, Transport } from '../transport.js';

function outer(message: IncomingMessage): OuterResponse {
  const fields: Field[] = [];
  for (let i = 0; i + 1 < message.rawHeaders.length; i += 2) {
    fields.push([message.rawHeaders[i] as string, message.rawHeaders[i + 1] as string]);
  }
  const source = message[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await source.next();
        if (done === true) controller.close();
        else controller.enqueue(value);
      },
      cancel() {
        message.destroy();
      },
    },
    { highWaterMark: 0 },
  );
  return { status: message.statusCode ?? 0, fields, body: body.getReader() };
}

function start(url: string, method: string, fields: Record<string, string>): { request: ClientRequest; response: Promise<OuterResponse> } {
  const make = new URL(url).protocol === 'https:' ? httpsRequest : httpRequest;
  const request = make(url, { method, headers: fields, agent: false });
  const response = new Promise<OuterResponse>((resolve, reject) => {
    request.on('response', (message) => resolve(outer(message)));
    request.on('error', reject);
    request.on('close', () => reject(new Error('the connection was closed')));
  });
  response.catch(() => undefined);
  return { request, response };
}

/**
 * A transport on `node:http` and `node:https`, full duplex, a connection for each exchange. It does not retry, follow
 * redirects or cache.
 */
export function nodeTransport(): Transport {
  return {
    duplex: 'full',
    open(url, fields) {
      const { request, response } = start(url, 'POST', fields);
      request.setNoDelay(true);
      return {
        response,
        write: (bytes) =>
          new Promise((resolve) => {
            if (bytes.length === 0 || request.destroyed) return resolve();
            request.write(bytes, () => resolve());
          }),
        end: () =>
          new Promise((resolve) => {
            if (request.destroyed) return resolve();
            request.end(() => resolve());
          }),
        close: () => void request.destroy(),
      };
    },
    get: async (url, fields, signal) => {
      const { request, response } = start(url, 'GET', fields);
      const aborted = (): void => void request.destroy();
      signal.addEventListener('abort', aborted, { once: true });
      request.on('close', () => signal.removeEventListener('abort', aborted));
      request.end();
      return response;
    },
  };
}
