import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import OpenAI from 'openai';
import * as sw from '../src/index.js';
import { nodeTransport } from '../src/node/index.js';
import { Bench, events, text, token, untext } from './helpers.js';

const isCode = (code: sw.ErrorCode) => (error: unknown) => error instanceof sw.SealwireError && error.code === code;
const chat = (more: object = {}): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json', authorization: 'Bearer application', cookie: 'a=b' },
  body: JSON.stringify({ model: 'demo', messages: [], ...more }),
});
const list = [token('one '), token('two '), token('three'), '[DONE]'];
const answer = list.map((event) => `data: ${event}\n\n`).join('');

/** The text of a body, and the error that it ended with. */
async function collect(response: Response): Promise<{ body: string; error: unknown }> {
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  let body = '';
  try {
    for (let read; !(read = await reader.read()).done;) body += untext(read.value);
    return { body, error: undefined };
  } catch (error) {
    return { body, error };
  }
}

describe('options and silence', () => {
  const silent: sw.Transport = {
    duplex: 'half',
    get: () => new Promise(() => undefined),
    open: () => assert.fail('nothing may be sent'),
  };
  const options = { relay: 'http://relay.example', identities: [new Uint8Array(32)], transport: silent };

  test('a relay that never answers discovery is gone', async () => {
    const sealed = sw.createSealedFetch({ ...options, h2Timeout: 20 });
    await assert.rejects(sealed('/v1/chat/completions', chat()), (error: unknown) => error instanceof sw.RelayError && error.code === 'gone');
  });

  test('an abort during discovery gives its reason', async () => {
    const abort = new AbortController();
    const answer = sw.createSealedFetch(options)('/v1/chat/completions', { ...chat(), signal: abort.signal });
    const reason = new Error('changed my mind');
    setTimeout(() => abort.abort(reason), 10);
    await assert.rejects(answer, (error: unknown) => error === reason);
  });

  test('what cannot work is refused at once', () => {
    for (const wrong of [
      { relay: 'relay.example' },
      { relay: 'ftp://relay.example' },
      { key: 'a\nb' },
      { identities: [new Uint8Array(31)] },
      { h2Timeout: 0 },
      { idleTimeout: Number.NaN },
      { attempts: 9 },
    ])
      assert.throws(() => sw.createSealedFetch({ ...options, ...wrong }), sw.UsageError, JSON.stringify(wrong));
  });
});

describe('against an instance', () => {
  const bench = new Bench();
  const transports: [string, () => Partial<sw.SealedFetchOptions>][] = [
    ['fetch, early data, single use', () => ({})],
    ['fetch, early data, multi-use, suite 1', () => ({ singleUse: false, suites: [1] })],
    ['node, never', () => ({ transport: nodeTransport() })],
    ['node, early data, padded requests', () => ({ transport: nodeTransport(), earlyData: 'allow', padding: { request: 'padme' } })],
    ['node, padme', () => ({ transport: nodeTransport(), padding: { response: 'padme' } })],
    ['node, buckets', () => ({ transport: nodeTransport(), padding: { response: 'buckets' } })],
    ['node, constant rate', () => ({ transport: nodeTransport(), padding: { response: 'constant' } })],
  ];
  const sealed = (options: Partial<sw.SealedFetchOptions> = {}): sw.SealedFetch =>
    sw.createSealedFetch({ relay: bench.url, identities: [bench.instance.identity], ...options });

  before(async () => {
    await bench.start((body, response) => {
      const request = JSON.parse(body || '{}') as { stream?: boolean; stream_options?: unknown; status?: number; hang?: boolean };
      if (request.hang === true)
        return void response.writeHead(200, { 'content-type': 'text/event-stream' }).write(`data: ${token('x')}\n\n`);
      if (request.stream === true) {
        const usage = JSON.stringify({ choices: [], usage: { prompt_tokens: 7, completion_tokens: 3 } });
        return events(request.stream_options === undefined ? list : [...list.slice(0, 3), usage, '[DONE]'])(body, response);
      }
      response.writeHead(request.status ?? 200, { 'content-type': 'application/json', 'set-cookie': 'no' });
      return response.end(JSON.stringify({ got: body.length, usage: { prompt_tokens: 5 } }));
    });
  });
  after(() => bench.stop());

  for (const [name, options] of transports) {
    test(`streams: ${name}`, async () => {
      const response = await sealed(options())('/v1/chat/completions?x=1', chat({ stream: true }));
      assert.equal(response.status, 200);
      assert.equal(response.headers.get('content-type'), 'text/event-stream');
      assert.equal(response.headers.get('x-secret'), null);
      assert.equal(await response.text(), answer);
      const receipt = sw.receiptOf(response);
      assert.deepEqual([receipt?.kind, receipt?.flags, receipt?.tokensIn, receipt?.tokensOut], [2, 3, 7n, 3n]);
      const call = bench.calls.at(-1);
      assert.equal(call?.url, '/v1/chat/completions?x=1');
      assert.deepEqual(
        [call?.headers.authorization, call?.headers.cookie, call?.headers['accept-encoding']],
        [undefined, undefined, 'identity'],
      );
    });
  }

  test('events arrive one by one', async () => {
    const response = await sealed({ transport: nodeTransport() })('/v1/chat/completions', chat({ stream: true }));
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    const first = await reader.read();
    assert.equal(untext(first.value as Uint8Array), `data: ${list[0]}\n\n`);
    await reader.cancel();
  });

  test('an answer that is not streamed, and a refusal of the model server', async () => {
    const response = await sealed()('https://any.invalid/v1/chat/completions', chat());
    assert.equal(((await response.json()) as { got: number }).got, 30);
    const refused = await sealed()('/v1/chat/completions', chat({ status: 418 }));
    assert.equal(refused.status, 418);
    assert.equal(refused.headers.get('set-cookie'), null);
    await refused.text();
    assert.equal(sw.receiptOf(refused)?.status, 418);
  });

  test('a streamed request body', async () => {
    const pieces = ['{"model":"de', 'mo","messages":[', ']}'];
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        const piece = pieces.shift();
        if (piece === undefined) controller.close();
        else controller.enqueue(text(piece));
      },
    });
    for (const earlyData of ['never'] as const) {
      const response = await sealed({ transport: nodeTransport(), label: 'demo', earlyData, attempts: 1 })('/v1/chat/completions', {
        method: 'POST',
        body,
      });
      assert.equal(response.status, 200);
      await response.text();
    }
  });

  test('what the instance does not forward', async () => {
    const client = sealed({ label: 'demo' });
    const statuses = [];
    for (const [path, init] of [
      ['/v1/models', {}],
      ['/v1/models#x', {}],
      ['/other', {}],
      ['/v1/../x', {}],
      ['/v1/models', { method: 'DELETE' }],
      ['/v1/chat/completions', { method: 'POST', body: '{"model":"other"}' }],
      ['/v1/chat/completions', { method: 'POST', body: '[]' }],
    ] as [string, RequestInit][]) {
      const response = await client(path, init);
      statuses.push(response.status);
      await response.text();
    }
    assert.deepEqual(statuses, [200, 200, 404, 404, 405, 400, 400]);
  });

  test('an unknown label, a wrong pin, and the wrong suite are refused before anything is sent', async () => {
    const calls = bench.calls.length;
    await assert.rejects(sealed({ label: 'other' })('/v1/x', chat()), (e) => e instanceof sw.RelayError && e.code === 'key-unknown');
    await assert.rejects(sealed({ identities: [new Uint8Array(32)] })('/v1/x', chat()), isCode('identity-untrusted'));
    await assert.rejects(sealed({ suites: [9] })('/v1/x', chat()), (e) => e instanceof sw.RelayError);
    await assert.rejects(sealed({ earlyData: 'never' })('/v1/x', chat()), isCode('no-duplex'));
    await assert.rejects(sealed({ relay: 'http://127.0.0.1:9' })('/v1/x', chat()), (e) => e instanceof sw.RelayError && e.code === 'gone');
    assert.equal(bench.calls.length, calls);
  });

  test('abort before and after the head closes the exchange', async () => {
    const aborted = bench.aborted;
    for (const transport of [undefined, nodeTransport()]) {
      const abort = new AbortController();
      const response = await sealed(transport === undefined ? {} : { transport })('/v1/chat/completions', {
        ...chat({ hang: true }),
        signal: abort.signal,
      });
      const collected = collect(response);
      abort.abort(new Error('enough'));
      assert.match(String((await collected).error), /enough/);
    }
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.equal(bench.aborted, aborted + 2);
    await assert.rejects(sealed()('/v1/x', { ...chat(), signal: AbortSignal.abort(new Error('at once')) }), /at once/);
  });

  test('the openai package streams and completes through it', async () => {
    for (const transport of [undefined, nodeTransport()]) {
      const fetch = sealed(transport === undefined ? {} : { transport }) as typeof globalThis.fetch;
      const openai = new OpenAI({ apiKey: 'unused', baseURL: 'https://sealed.invalid/v1', fetch, maxRetries: 0 });
      const stream = await openai.chat.completions.create({ model: 'demo', messages: [{ role: 'user', content: 'hi' }], stream: true });
      let said = '';
      for await (const chunk of stream) said += chunk.choices[0]?.delta.content ?? '';
      assert.equal(said, 'one two three');
      const whole = await openai.chat.completions.create({ model: 'demo', messages: [{ role: 'user', content: 'hi' }] });
      assert.ok('got' in whole);
    }
  });

  test('what a relay does to a stream is never an end', async () => {
    const limit = (n: number) => (response: import('node:http').ServerResponse) => {
      let left = n;
      return (bytes: Buffer): void => {
        response.write(bytes.subarray(0, left));
        left -= bytes.length;
        if (left <= 0) response.end();
      };
    };
    const flip = (at: number) => (response: import('node:http').ServerResponse) => {
      let seen = 0;
      return (bytes: Buffer): void => {
        if (at >= seen && at < seen + bytes.length) bytes[at - seen]! ^= 1;
        seen += bytes.length;
        response.write(bytes);
      };
    };
    const codes = [];
    for (const [cut, change] of [
      [true, limit(100)],
      [true, limit(1_400)],
      [true, limit(1_854)],
      [false, flip(3)],
      [false, flip(1_100)],
      [false, flip(1_300)],
    ] as const) {
      for (const options of [{}, { transport: nodeTransport() }]) {
        const relay = await bench.relay(change);
        const { body, error } = await sealed({ relay, ...options, attempts: 1 })('/v1/chat/completions', chat({ stream: true })).then(
          collect,
          (e: unknown) => ({ body: '', error: e }),
        );
        assert.ok(error instanceof sw.SealwireError, String(error));
        if (cut) assert.equal(error.code, 'truncated');
        else codes.push(error.code);
        assert.ok(answer.startsWith(body) && !body.includes('[DONE]'));
      }
    }
    assert.ok(
      codes.every((code) => code === 'confirm-failed' || code === 'decrypt' || code === 'bad-frame-length' || code === 'truncated'),
    );
  });

  test('plain answers and problems of a relay are errors of their own', async () => {
    const relay = await bench.serve((request, response) => {
      if (request.method === 'GET') return void fetch(bench.url + (request.url ?? '')).then(async (r) => response.end(await r.text()));
      return void response.writeHead(200, { 'content-type': 'application/json' }).end('{"choices":[{"message":{"content":"forged"}}]}');
    });
    await assert.rejects(
      sealed({ relay })('/v1/chat/completions', chat()),
      (e) => e instanceof sw.RelayError && e.code === 'internal' && !String(e).includes('forged'),
    );
  });
});

describe('instances that misbehave', () => {
  /** A server with its own way to answer after the handshake. */
  async function rogue(
    bench: Bench,
    answer: (stream: sw.InstanceStream, response: import('node:http').ServerResponse) => void,
  ): Promise<string> {
    return bench.serve((request, response) => {
      if (request.method === 'GET') {
        const bundles = [bench.instance.bundle(text('demo'), 1)];
        return void response.writeHead(200, { 'content-type': 'application/json' }).end(sw.discoveryAnswer(bundles));
      }
      const context = sw.fromBase64url(String(request.headers['sealwire-context'])) as Uint8Array;
      let got: Uint8Array = new Uint8Array(0);
      let done = false;
      request.on('data', (bytes: Buffer) => {
        got = sw.concat(got, bytes);
        if (done || got.length < 2_326) return;
        done = true;
        const stream = bench.instance.accept(context, got.subarray(0, 2_326));
        response.writeHead(200, { 'content-type': 'application/vnd.sealwire.response' });
        answer(stream, response);
      });
    });
  }
  const ok = sw.concat(sw.encodeResponseHead({ status: 200, fields: [] }), sw.encodeEnd());
  const receipt = { kind: 2, flags: 1, status: 200, tokensIn: 0n, tokensOut: 0n, tokensCached: 0n, time: 0n };
  const finish = (stream: sw.InstanceStream, response: import('node:http').ServerResponse): void => {
    response.write(stream.h2);
    response.end(stream.sealer.take());
  };
  const cases: [string, (stream: sw.InstanceStream, response: import('node:http').ServerResponse) => void, (e: unknown) => boolean][] = [
    [
      'a receipt that denies the request',
      (s, r) => (s.receipt({ ...receipt, flags: 0 }), s.sealer.final(ok), finish(s, r)),
      isCode('early-response'),
    ],
    [
      'a public frame that is no receipt',
      (s, r) => (s.sealer.public(text('advert')), s.sealer.final(ok), finish(s, r)),
      isCode('bad-receipt'),
    ],
    ['two final receipts', (s, r) => (s.receipt(receipt), s.receipt(receipt), s.sealer.final(ok), finish(s, r)), isCode('receipt-order')],
    ['an answer that is no message', (s, r) => (s.sealer.final(text('hello')), finish(s, r)), (e) => e instanceof sw.MessageError],
    ['an answer without its end', (s, r) => (s.sealer.final(ok.subarray(0, 3)), finish(s, r)), (e) => e instanceof sw.MessageError],
    ['an ERROR', (s, r) => (s.sealer.error(8, 'bye'), finish(s, r)), (e) => e instanceof sw.PeerError && e.codeName === 'shutting-down'],
    ['silence instead of H2', (_s, r) => r.flushHeaders(), isCode('handshake-timeout')],
    ['silence after H2', (s, r) => void r.write(s.h2), isCode('truncated')],
  ];
  for (const [name, answer, expected] of cases) {
    test(name, async () => {
      const bench = new Bench();
      try {
        const relay = await rogue(bench, answer);
        for (const transport of [{ transport: nodeTransport(), earlyData: 'never' }, { singleUse: false }] as const) {
          const sealed = sw.createSealedFetch({
            relay,
            identities: [bench.instance.identity],
            suites: [1],
            attempts: 1,
            h2Timeout: 300,
            idleTimeout: 300,
            ...transport,
          });
          await assert.rejects(
            sealed('/v1/chat/completions', chat()).then((response) => response.text()),
            expected,
          );
        }
      } finally {
        bench.stop();
      }
    });
  }

  test('an answer below 400 before the request has ended is early', async () => {
    const bench = new Bench();
    try {
      const relay = await rogue(bench, (s, r) => (s.sealer.final(ok), finish(s, r)));
      const body = new ReadableStream<Uint8Array>({ start: (controller) => controller.enqueue(text('{')) });
      const sealed = sw.createSealedFetch({
        relay,
        identities: [bench.instance.identity],
        suites: [1],
        attempts: 1,
        label: 'demo',
        transport: nodeTransport(),
      });
      await assert.rejects(
        sealed('/v1/x', { method: 'POST', body }).then((response) => response.text()),
        isCode('early-response'),
      );
    } finally {
      bench.stop();
    }
  });

  test('a key that is not held: a new attempt with the bundle that came along', async () => {
    const bench = await new Bench().start((_b, r) => void r.end('{}'));
    try {
      const bundle = bench.instance.bundle(text('demo'), 2);
      bench.instance.discard(sw.parseBundle(bundle).id);
      let asked = 0;
      const relay = await bench.serve((request, response) => {
        if (request.method === 'GET') {
          asked += 1;
          return void response.end(sw.discoveryAnswer([bundle]));
        }
        const parts: Buffer[] = [];
        request.on('data', (part: Buffer) => parts.push(part));
        request.on('end', () => {
          const { 'content-type': type, 'sealwire-context': context } = request.headers as Record<string, string>;
          void fetch(bench.url + (request.url ?? ''), {
            method: 'POST',
            headers: { 'content-type': type as string, 'sealwire-context': context as string },
            body: Buffer.concat(parts),
          }).then(async (r) => {
            response.writeHead(r.status, { 'content-type': r.headers.get('content-type') ?? '' });
            response.end(Buffer.from(await r.arrayBuffer()));
          });
        });
      });
      const options = { relay, identities: [bench.instance.identity], singleUse: false };
      await assert.rejects(sw.createSealedFetch(options)('/v1/x', chat()), (e) => e instanceof sw.RelayError && e.code === 'key-unknown');
      asked = 0;
      const response = await sw.createSealedFetch({ ...options, attempts: 2 })('/v1/x', chat());
      assert.equal(await response.text(), '{}');
      assert.equal(asked, 1);
      assert.equal(sw.receiptOf(response)?.attempt, 2);
    } finally {
      bench.stop();
    }
  });
});

describe('model servers that fail', () => {
  const failures: [string, (body: string, response: import('node:http').ServerResponse) => void, (e: unknown) => boolean][] = [
    [
      'breaks off within an event',
      (_b, r) => void r.writeHead(200, { 'content-type': 'text/event-stream' }).end(`data: ${token('x')}\n\ndata: {`),
      (e) => e instanceof sw.PeerError && e.code === 3,
    ],
    [
      'cuts the connection',
      (_b, r) =>
        void r
          .writeHead(200, { 'content-type': 'text/event-stream' })
          .write(`data: ${token('x')}\n\n`, () => setTimeout(() => r.destroy(), 20)),
      (e) => e instanceof sw.PeerError && e.code === 3,
    ],
    [
      'falls silent',
      (_b, r) => void r.writeHead(200, { 'content-type': 'text/event-stream' }).write(`data: ${token('x')}\n\n`),
      (e) => e instanceof sw.PeerError && e.code === 4,
    ],
  ];
  for (const [name, model, expected] of failures) {
    test(name, async () => {
      const bench = await new Bench().start(model, { times: { silence: 200 } });
      try {
        const sealed = sw.createSealedFetch({ relay: bench.url, identities: [bench.instance.identity], transport: nodeTransport() });
        const { error } = await collect(await sealed('/v1/chat/completions', chat({ stream: true })));
        assert.ok(expected(error), String(error));
      } finally {
        bench.stop();
      }
    });
  }

  for (const [name, model, status] of [
    ['redirects', (_b: string, r: import('node:http').ServerResponse) => void r.writeHead(302, { location: '/' }).end(), 502],
    [
      'compresses',
      (_b: string, r: import('node:http').ServerResponse) => void r.writeHead(200, { 'content-encoding': 'gzip' }).end('x'),
      502,
    ],
    ['says nothing', () => undefined, 504],
  ] as const) {
    test(`${name}: a sealed ${status}`, async () => {
      const bench = await new Bench().start(model, { times: { head: 200 } });
      try {
        const sealed = sw.createSealedFetch({ relay: bench.url, identities: [bench.instance.identity], transport: nodeTransport() });
        const response = await sealed('/v1/chat/completions', chat());
        assert.equal(response.status, status);
        await response.text();
      } finally {
        bench.stop();
      }
    });
  }

  test('busy instances, and interim receipts', async () => {
    const bench = await new Bench().start((_b, r) => void setTimeout(() => r.end('{}'), 250), { maxStreams: 1, times: { interim: 60 } });
    try {
      const kinds: number[] = [];
      const options = { relay: bench.url, identities: [bench.instance.identity], transport: nodeTransport(), attempts: 1 };
      const first = sw.createSealedFetch({ ...options, onReceipt: (r) => kinds.push(r.kind) })('/v1/chat/completions', chat());
      await new Promise((resolve) => setTimeout(resolve, 80));
      await assert.rejects(
        sw.createSealedFetch(options)('/v1/chat/completions', chat()),
        (e) => e instanceof sw.RelayError && e.code === 'busy',
      );
      await (await first).text();
      assert.ok(kinds.length >= 3 && kinds.slice(0, -1).every((kind) => kind === 1) && kinds.at(-1) === 2, String(kinds));
    } finally {
      bench.stop();
    }
  });
});
