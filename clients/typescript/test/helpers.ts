/** Servers and streams for tests. */

import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import * as sw from '../src/index.js';
import { createInstanceServer, type InstanceServerOptions } from '../src/node/index.js';

export const text = (value: string): Uint8Array => new TextEncoder().encode(value);
export const untext = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** A small deterministic generator, so that a failing test fails again. */
export function randomizer(seed: number): { below(n: number): number; bytes(n: number): Uint8Array } {
  let state = seed >>> 0;
  const next = (): number => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 12), 0x297a2d39);
    return (z ^ (z >>> 15)) >>> 0;
  };
  return { below: (n) => next() % n, bytes: (n) => Uint8Array.from({ length: n }, () => next() & 255) };
}

/** A handshake between a fresh client and a fresh instance. */
export function handshake(options: { suite?: number; early?: sw.EarlyData; limits?: Partial<sw.HalfLimits>; padding?: sw.Padding } = {}): {
  instance: sw.Instance;
  client: sw.ClientHandshake;
  server: sw.InstanceStream;
} {
  const instance = new sw.Instance({ identitySeed: sw.randomBytes(32) });
  const bundle = instance.bundle(text('demo'), options.suite ?? 2);
  const verified = verify(instance, bundle);
  const { early = 'allow', limits = {}, padding = 'none' } = options;
  const client = new sw.ClientHandshake(verified, sw.makeContext({ label: 'demo' }), { early, limits, padding });
  const server = instance.accept(client.context.bytes, client.h1, { limits, padding });
  return { instance, client, server };
}

export function verify(instance: sw.Instance, bundle: Uint8Array): sw.VerifiedBundle {
  return sw.verifyBundle(bundle, { suites: [1, 2], label: 'demo', singleUseRequired: false, identities: [instance.identity] });
}

/** Everything that a half gives for these bytes, and the error that it ends with. */
export function drain(
  half: Pick<sw.Opener, 'push' | 'finish'> & { next(): sw.HalfEvent | sw.AnswerEvent | undefined },
  wire: Uint8Array,
): {
  content: Uint8Array;
  ended: boolean;
  error: unknown;
} {
  const parts: Uint8Array[] = [];
  let ended = false;
  try {
    half.push(wire);
    for (let event; (event = half.next()) !== undefined;) {
      if (event.type === 'data' || event.type === 'final') parts.push(event.bytes);
      ended ||= event.type === 'final';
    }
    half.finish();
    return { content: sw.concat(...parts), ended, error: undefined };
  } catch (error) {
    return { content: sw.concat(...parts), ended, error };
  }
}

export async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

export async function readAll(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}

/** A model server, an instance in front of it, and perhaps a relay. */
export class Bench {
  readonly #servers: Server[] = [];
  readonly instance = new sw.Instance({ identitySeed: sw.randomBytes(32) });
  /** Requests that the model server got. */
  readonly calls: { method: string; url: string; headers: IncomingMessage['headers']; body: string }[] = [];
  /** Calls of the model server whose client went away before their end. */
  aborted = 0;
  url = '';

  async start(model: (body: string, response: ServerResponse) => void, options: Partial<InstanceServerOptions> = {}): Promise<this> {
    const upstream = await this.serve((request, response) => {
      response.on('close', () => {
        if (!response.writableFinished) this.aborted += 1;
      });
      void readAll(request).then((body) => {
        this.calls.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body });
        model(body, response);
      });
    });
    const server = createInstanceServer({ instance: this.instance, labels: ['demo'], upstream, ...options });
    this.#servers.push(server);
    this.url = await listen(server);
    return this;
  }

  async serve(listener: RequestListener): Promise<string> {
    const server = createServer(listener);
    this.#servers.push(server);
    return listen(server);
  }

  /** A relay that passes requests on, with a hand on the response's bytes. */
  async relay(change: (response: ServerResponse) => (bytes: Buffer) => void): Promise<string> {
    return this.serve((request, response) => {
      const { 'content-type': type, 'sealwire-context': context } = request.headers;
      const fields = {
        ...(type === undefined ? {} : { 'content-type': type }),
        ...(context === undefined ? {} : { 'sealwire-context': context }),
      };
      const call = httpRequest(this.url + (request.url ?? ''), { method: request.method, headers: fields, agent: false });
      call.on('error', () => response.destroy());
      response.on('close', () => call.destroy());
      call.on('response', (answer) => {
        response.writeHead(answer.statusCode ?? 0, answer.headers);
        const sealed = answer.headers['content-type'] === 'application/vnd.sealwire.response';
        const write = sealed ? change(response) : (bytes: Buffer): void => void response.write(bytes);
        answer.on('data', write);
        answer.on('end', () => response.end());
        answer.on('error', () => response.destroy());
      });
      request.pipe(call);
    });
  }

  stop(): void {
    for (const server of this.#servers) {
      server.close();
      server.closeAllConnections();
    }
  }
}

/** A model that streams these events, with a pause before each. */
export function events(list: readonly string[], pause = 5): (body: string, response: ServerResponse) => void {
  return (_body, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'x-secret': 'stays inside' });
    void (async () => {
      for (const event of list) {
        await new Promise((resolve) => setTimeout(resolve, pause));
        response.write(`data: ${event}\n\n`);
      }
      response.end();
    })();
  };
}

export const token = (content: string): string =>
  JSON.stringify({
    id: 'c',
    object: 'chat.completion.chunk',
    created: 1,
    model: 'demo',
    choices: [{ index: 0, delta: { content }, finish_reason: null }],
  });
