import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as sw from '../src/index.js';
import { text, untext, verify } from './helpers.js';

const isCode = (code: sw.ErrorCode) => (error: unknown) => error instanceof sw.SealwireError && error.code === code;

function pair(carriage: sw.Carriage): { client: sw.ClientCarriage; server: sw.InstanceCarriage } {
  const instance = new sw.Instance({ identitySeed: sw.randomBytes(32) });
  const handshake = new sw.ClientHandshake(verify(instance, instance.bundle(text('demo'), 2)), sw.makeContext({ label: 'demo' }), {
    early: 'allow',
  });
  return { client: new sw.ClientCarriage(carriage, handshake), server: new sw.InstanceCarriage(carriage, instance) };
}

describe('byte streams', () => {
  test('a whole exchange, byte by byte', () => {
    const { client, server } = pair('stream');
    client.handshake.sealer.final(text('question'));
    let asked = '';
    for (const byte of sw.concat(client.first, client.handshake.sealer.take())) {
      server.receive(Uint8Array.of(byte));
      for (let event; (event = server.next()) !== undefined;) if (event.type === 'final') asked = untext(event.bytes);
    }
    server.finish();
    assert.equal(asked, 'question');
    const stream = server.stream as sw.InstanceStream;
    stream.sealer.final(text('answer'));
    let answered = '';
    for (const byte of sw.concat(stream.h2, stream.sealer.take())) {
      client.receive(Uint8Array.of(byte));
      for (let event; (event = client.next()) !== undefined;) if (event.type === 'final') answered = untext(event.bytes);
    }
    client.finish();
    assert.equal(answered, 'answer');
  });

  test('a long context is refused on its length field', () => {
    const { server } = pair('stream');
    server.receive(Uint8Array.of(4));
    assert.throws(() => server.receive(Uint8Array.of(1)), isCode('bad-context'));
    assert.throws(() => server.finish(), isCode('bad-context'));
  });

  test('a transport that ends at once is truncated on both sides', () => {
    const { client, server } = pair('stream');
    assert.throws(() => client.finish(), isCode('truncated'));
    assert.throws(() => client.receive(new Uint8Array(2_000)), isCode('truncated'));
    assert.throws(() => server.finish(), isCode('truncated'));
  });
});

describe('messages', () => {
  test('a whole exchange, a frame in each', () => {
    const { client, server } = pair('message');
    server.receive(client.first);
    const stream = server.stream as sw.InstanceStream;
    client.receive(stream.h2);
    client.handshake.sealer.data(text('a'));
    client.handshake.sealer.final(text('b'));
    const events: (string | undefined)[] = [];
    for (const frame of client.handshake.sealer.takeFrames()) {
      server.receive(frame);
      events.push(server.next()?.type);
    }
    assert.deepEqual(events, [undefined, 'data', 'final']);
    server.finish();
  });

  test('a message that is not one frame is refused', () => {
    for (const change of [
      (f: Uint8Array) => f.subarray(0, -1),
      (f: Uint8Array) => sw.concat(f, f),
      () => new Uint8Array(0),
      () => Uint8Array.of(1, 0),
    ]) {
      const { client, server } = pair('message');
      server.receive(client.first);
      client.handshake.sealer.data(text('a'));
      server.receive(change(client.handshake.sealer.take()));
      assert.throws(() => server.next(), isCode('bad-frame-length'));
      assert.throws(() => server.finish(), isCode('bad-frame-length'));
    }
  });
});
