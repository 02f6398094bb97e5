/** The instance's HTTP resources, and the two programs. */

import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { createServer, type Server } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as sw from '../src/index.js';
import { nodeTransport } from '../src/node/index.js';
import { Bench, randomizer, text } from './helpers.js';

const chat = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"model":"demo"}' };

describe('resources', () => {
  const bench = new Bench();
  before(() => bench.start((_body, response) => void response.end('{}')));
  after(() => bench.stop());
  const code = async (response: Response): Promise<string> => {
    assert.equal(response.headers.get('content-type'), 'application/problem+json');
    return ((await response.json()) as { code: string }).code;
  };

  test('health, description and unknown paths', async () => {
    assert.equal((await fetch(`${bench.url}/healthz`)).status, 200);
    const about = (await (await fetch(`${bench.url}/sealwire/v1/instance`)).json()) as Record<string, unknown>;
    assert.deepEqual(about, { identity: sw.toBase64url(bench.instance.identity), labels: ['demo'], suites: [1, 2] });
    for (const [path, method] of [
      ['/', 'GET'],
      ['/sealwire/v1/requests', 'GET'],
      ['/sealwire/v1/bundles', 'POST'],
    ] as const) {
      const response = await fetch(bench.url + path, { method });
      assert.deepEqual([response.status, await code(response)], [404, 'refused']);
    }
  });

  test('discovery', async () => {
    const ask = (query: string): Promise<Response> => fetch(`${bench.url}/sealwire/v1/bundles?${query}`);
    const ids = async (query: string): Promise<string[]> => {
      const response = await ask(query);
      assert.equal(response.headers.get('cache-control'), 'no-store');
      return sw.readDiscoveryAnswer(await response.text()).map((bundle) => sw.toHex(sw.parseBundle(bundle).id));
    };
    const both = await ids('label=demo');
    assert.equal(both.length, 2);
    assert.deepEqual(await ids('label=demo&single_use=false&other=%'), both);
    assert.deepEqual(await ids('label=demo&suite=7'), []);
    assert.equal((await ids('label=demo&suite=01')).length, 1);
    const single = [...(await ids('label=demo&single_use=true')), ...(await ids('label=demo&single_use=true'))];
    assert.equal(new Set(single).size, 4);
    const unknown = await ask('label=other');
    assert.deepEqual([unknown.status, await code(unknown)], [404, 'key-unknown']);
    const refused = await ask('label=');
    assert.deepEqual([refused.status, await code(refused)], [400, 'refused']);
  });

  test('hostile requests get a problem document', async () => {
    const random = randomizer(6);
    const context = sw.toBase64url(sw.makeContext({ label: 'demo' }).bytes);
    const media = 'application/vnd.sealwire.request';
    const post = (headers: Record<string, string>, body: Uint8Array): Promise<Response> =>
      fetch(`${bench.url}/sealwire/v1/requests`, { method: 'POST', headers, body: body as Uint8Array<ArrayBuffer> });
    for (const headers of [
      {},
      { 'content-type': media },
      { 'content-type': `${media}; x=1`, 'sealwire-context': context },
      { 'content-type': media, 'sealwire-context': `${context}=` },
    ]) {
      assert.equal(await code(await post(headers as Record<string, string>, new Uint8Array(10))), 'refused');
    }
    const h1 = sw.concat(text('SW'), Uint8Array.of(1, 0, 1, 0), random.bytes(2_320));
    const unknown = await post({ 'content-type': media, 'sealwire-context': context }, h1);
    const document = (await unknown.json()) as { code: string; bundle: string };
    assert.equal(document.code, 'key-unknown');
    assert.equal(sw.parseBundle(sw.fromBase64url(document.bundle) as Uint8Array).suite.id, 1);
    for (let round = 0; round < 30; round++) {
      const body = round % 2 === 0 ? random.bytes(random.below(3_000)) : h1.subarray(0, random.below(h1.length));
      assert.equal(await code(await post({ 'content-type': media, 'sealwire-context': context }, body)), 'refused');
    }
  });
});

describe('model servers that only close', () => {
  const answers: [string, string, boolean][] = [
    ['whole JSON', 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"a":1}', true],
    ['half of JSON', 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"a":', false],
    ['events with [DONE]', 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {}\n\ndata: [DONE]\n\n', true],
    ['events without [DONE]', 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {}\n\n', false],
    ['less than announced', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}', false],
  ];
  for (const [name, raw, proper] of answers) {
    test(name, async () => {
      const model: Server = createServer((socket) => socket.on('error', () => undefined).once('data', () => socket.end(raw)));
      await new Promise<void>((resolve) => model.listen(0, '127.0.0.1', resolve));
      const upstream = `http://127.0.0.1:${(model.address() as { port: number }).port}`;
      const bench = await new Bench().start(() => undefined, { upstream });
      try {
        const sealed = sw.createSealedFetch({ relay: bench.url, identities: [bench.instance.identity], transport: nodeTransport() });
        const reading = sealed('/v1/chat/completions', chat).then((response) => response.text());
        if (proper) assert.equal(await reading, raw.split('\r\n\r\n')[1]);
        else await assert.rejects(reading, (e) => e instanceof sw.PeerError && e.codeName === 'upstream');
      } finally {
        bench.stop();
        model.close();
      }
    });
  }

  test('an answer without a body', async () => {
    const bench = await new Bench().start((_b, response) => void response.writeHead(204).end());
    try {
      const response = await sw.createSealedFetch({ relay: bench.url, identities: [bench.instance.identity] })(
        '/v1/chat/completions',
        chat,
      );
      assert.deepEqual([response.status, response.body], [204, null]);
      assert.equal(sw.receiptOf(response)?.kind, 2);
    } finally {
      bench.stop();
    }
  });
});

describe('programs', () => {
  const program = (name: string): string => fileURLToPath(new URL(`../src/node/${name}.js`, import.meta.url));
  const bench = new Bench();
  let instance: ChildProcess;
  let address: string[] = [];
  before(async () => {
    await bench.start((body, response) => void response.end(body));
    const upstream = await bench.serve((request, response) => void request.pipe(response));
    const args = ['--label', 'demo', '--upstream', upstream, '--identity-seed', '07'.repeat(32), '--listen', '127.0.0.1:0'];
    instance = spawn(process.execPath, [program('instance-cli'), ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    const line = await new Promise<string>((resolve) => instance.stdout?.once('data', (data: Buffer) => resolve(data.toString())));
    address = line.trim().split(' ');
  });
  after(() => {
    instance.kill();
    bench.stop();
  });

  const run = async (body: string, ...args: string[]): Promise<{ code: number | null; out: string; err: string }> => {
    const child = spawn(process.execPath, [program('client-cli'), '--url', address[1] ?? '', '--identity', address[3] ?? '', ...args]);
    let [out, err] = ['', ''];
    child.stdout.on('data', (data: Buffer) => (out += data.toString()));
    child.stderr.on('data', (data: Buffer) => (err += data.toString()));
    child.stdin.end(body);
    const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
    return { code, out, err };
  };

  for (const early of ['allow', 'never']) {
    test(`a request in pieces, early data: ${early}`, async () => {
      const body = `{"model":"demo","text":"${'x'.repeat(3_000)}"}`;
      for (const suite of ['1', '2']) {
        assert.deepEqual(await run(body, '--label', 'demo', '--suite', suite, '--early', early, '--drip', '5'), {
          code: 0,
          out: body,
          err: '',
        });
      }
    });
  }

  test('failures are said with their code', async () => {
    const unknown = await run('{}', '--label', 'other');
    assert.equal(unknown.code, 1);
    assert.match(unknown.err, /^error key-unknown: /);
    const pinned = await run('{}', '--label', 'demo', '--identity', '00'.repeat(32));
    assert.match(pinned.err, /^error identity-untrusted: /);
  });
});
