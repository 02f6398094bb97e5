import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as sw from '../src/index.js';
import { drain, handshake, randomizer, text, untext } from './helpers.js';

const isCode = (code: sw.ErrorCode) => (error: unknown) => error instanceof sw.SealwireError && error.code === code;

describe('halves', () => {
  test('any operations in any pieces come out again', () => {
    const random = randomizer(1);
    const policies: sw.Padding[] = ['none', 'buckets', 'padme', { fixed: 100 }];
    for (let round = 0; round < 60; round++) {
      const secret = random.bytes(32);
      const limits = { epochFrames: 1 + random.below(5) };
      const padding = policies[random.below(4)] as sw.Padding;
      const sealer = new sw.Sealer({ half: 's2c', secret: secret.slice(), padding, limits });
      const content: Uint8Array[] = [];
      for (let op = random.below(8); op > 0; op--) {
        const piece = random.bytes(1 + random.below(random.below(10) === 0 ? 40_000 : 300));
        content.push(piece);
        sealer.data(piece);
        if (random.below(3) === 0) sealer.keyUpdate();
        if (random.below(3) === 0) sealer.pad(random.below(50));
      }
      const last = random.bytes(random.below(20_000));
      sealer.final(last);
      const wire = sealer.take();
      const opener = new sw.Opener({ half: 's2c', secret, limits });
      const parts: Uint8Array[] = [];
      for (let at = 0; at < wire.length;) {
        const size = 1 + random.below(round % 2 === 0 ? 40 : 30_000);
        opener.push(wire.subarray(at, at + size));
        at += size;
        for (let event; (event = opener.next()) !== undefined;) if (event.type !== 'error') parts.push(event.bytes);
      }
      opener.finish();
      assert.equal(sw.toHex(sw.concat(...parts)), sw.toHex(sw.concat(...content, last)));
    }
  });

  test('hostile bytes give typed errors that stay, and never a wrong byte', () => {
    const random = randomizer(2);
    const secret = random.bytes(32);
    const sealer = new sw.Sealer({ half: 's2c', secret: secret.slice(), limits: { epochFrames: 3 } });
    const content = random.bytes(400);
    for (let i = 0; i < 4; i++) sealer.data(content.subarray(100 * i, 100 * (i + 1)));
    sealer.public(random.bytes(20));
    sealer.final();
    const wire = sealer.take();
    for (let round = 0; round < 1_500; round++) {
      let bad: Uint8Array = wire.slice();
      switch (random.below(5)) {
        case 0:
          bad[random.below(bad.length)]! ^= 1 << random.below(8);
          break;
        case 1:
          bad = bad.slice(0, random.below(bad.length));
          break;
        case 2:
          bad = sw.concat(bad, random.bytes(1 + random.below(40)));
          break;
        case 3: {
          const at = random.below(bad.length);
          bad = sw.concat(bad.subarray(0, at), random.bytes(1 + random.below(9)), bad.subarray(at));
          break;
        }
        default:
          bad = random.bytes(random.below(200));
      }
      const opener = new sw.Opener({ half: 's2c', secret: secret.slice(), limits: { epochFrames: 3 } });
      const { content: got, error } = drain(opener, bad);
      assert.ok(error instanceof sw.SealwireError);
      assert.equal(sw.toHex(got), sw.toHex(content.subarray(0, got.length)));
      assert.throws(() => opener.next(), isCode(error.code));
      opener.push(wire);
      assert.throws(() => opener.finish(), isCode(error.code));
    }
  });

  test('the end comes out before trailing bytes fail', () => {
    const secret = sw.randomBytes(32);
    const sealer = new sw.Sealer({ half: 'c2s', secret: secret.slice() });
    sealer.final(text('end'));
    const { ended, error } = drain(new sw.Opener({ half: 'c2s', secret }), sw.concat(sealer.take(), Uint8Array.of(0)));
    assert.equal(ended, true);
    assert.ok(isCode('trailing-data')(error));
  });

  test('a sender refuses wrong calls and keeps its state', () => {
    const sealer = new sw.Sealer({ half: 'c2s', secret: sw.randomBytes(32) });
    assert.throws(() => sealer.keyUpdate(), sw.UsageError);
    assert.throws(() => sealer.public(Uint8Array.of(1)), sw.UsageError);
    for (let i = 0; i < 32; i++) sealer.data(new Uint8Array(0));
    assert.throws(() => sealer.data(new Uint8Array(0)), sw.UsageError);
    assert.throws(() => sealer.pad(), sw.UsageError);
    sealer.pad(1);
    sealer.final();
    assert.throws(() => sealer.data(text('x')), sw.UsageError);
    assert.equal(sealer.take().length, 24 * 34 + 1);
  });

  test('a closed sender makes no FINAL', () => {
    const sealer = new sw.Sealer({ half: 'c2s', secret: sw.randomBytes(32) });
    sealer.close();
    assert.equal(sealer.finished, false);
    assert.equal(sealer.take().length, 0);
    assert.throws(() => sealer.final(), sw.UsageError);
  });
});

describe('handshakes', () => {
  test('both suites carry both halves, and the exporters agree', () => {
    for (const suite of [1, 2]) {
      const { client, server } = handshake({ suite });
      client.sealer.data(text('early '));
      const stream = client.readH2(server.h2);
      client.sealer.final(text('late'));
      assert.equal(untext(drain(server.opener, client.sealer.take()).content), 'early late');
      server.receipt({ kind: 2, flags: 3, status: 200, tokensIn: 1n, tokensOut: 2n, tokensCached: 0n, time: 3n });
      server.sealer.final(text('answer'));
      assert.equal(untext(drain(stream, server.sealer.take()).content), 'answer');
      assert.equal(stream.lastReceipt?.tokensOut, 2n);
      const exported = [stream, server].map(({ exporter }) => sw.toHex(exporter.export(text('l'), text('c'), 16)));
      assert.equal(exported[0], exported[1]);
    }
  });

  test('never means that nothing is sealed before H2', () => {
    const { client, server } = handshake({ early: 'never' });
    assert.throws(() => client.sealer.data(text('secret')), sw.UsageError);
    assert.equal(client.sealer.pending, 0);
    client.readH2(server.h2);
    assert.equal(client.sealer.switched, true);
    client.sealer.final();
    assert.equal(drain(server.opener, client.sealer.take()).ended, true);
  });

  test('a replayed H1 is accepted once; a spent single-use key is unknown', () => {
    const { instance, client } = handshake();
    assert.throws(() => instance.accept(client.context.bytes, client.h1), isCode('replayed'));
    const single = instance.singleUseBundle(text('demo'), 1) as Uint8Array;
    const policy = { suites: [1], label: 'demo', singleUseRequired: true, identities: [instance.identity] };
    const again = new sw.ClientHandshake(sw.verifyBundle(single, policy), sw.makeContext({ label: 'demo' }), { early: 'allow' });
    instance.accept(again.context.bytes, again.h1);
    assert.throws(() => instance.accept(again.context.bytes, again.h1), isCode('key-unknown'));
  });

  test('keys rotate with one overlap and die in time', () => {
    let clock = 0;
    const instance = new sw.Instance({ identitySeed: sw.randomBytes(32), monotonic: () => clock });
    const first = instance.bundle(text('demo'), 1);
    clock = 599_000;
    assert.equal(sw.toHex(instance.bundle(text('demo'), 1)), sw.toHex(first));
    clock = 601_000;
    assert.notEqual(sw.toHex(instance.bundle(text('demo'), 1)), sw.toHex(first));
    const policy = { suites: [1], label: 'demo', singleUseRequired: false, identities: [instance.identity] };
    const verified = sw.verifyBundle(first, policy);
    const make = (): sw.ClientHandshake => new sw.ClientHandshake(verified, sw.makeContext({ label: 'demo' }), { early: 'allow' });
    const held = make();
    instance.accept(held.context.bytes, held.h1);
    clock = 1_200_000;
    const late = make();
    assert.throws(() => instance.accept(late.context.bytes, late.h1), isCode('key-unknown'));
  });

  test('random changes of H1, H2 and the context give typed errors', () => {
    const random = randomizer(3);
    const { instance } = handshake({ suite: 1 });
    const bundle = instance.bundle(text('demo'), 1);
    const verified = sw.verifyBundle(bundle, { suites: [1], label: 'demo', singleUseRequired: false, identities: [instance.identity] });
    for (let round = 0; round < 60; round++) {
      const client = new sw.ClientHandshake(verified, sw.makeContext({ label: 'demo' }), { early: 'allow' });
      const [h1, context] = [client.h1.slice(), client.context.bytes.slice()];
      if (round % 2 === 0) h1[random.below(h1.length)]! ^= 1 << random.below(8);
      else context[random.below(context.length)]! ^= 1 << random.below(8);
      assert.throws(() => instance.accept(context, h1), sw.SealwireError);
      const h2 = instance.accept(client.context.bytes, client.h1).h2.slice();
      h2[random.below(h2.length)]! ^= 1 << random.below(8);
      assert.throws(() => client.readH2(h2), sw.SealwireError);
      assert.throws(() => client.sealer.data(text('x')), sw.UsageError);
    }
  });

  test('random changes of a bundle give typed errors', () => {
    const random = randomizer(4);
    const { instance } = handshake();
    const bundle = instance.bundle(text('demo'), 2);
    for (let round = 0; round < 60; round++) {
      const bad = round % 3 === 0 ? bundle.slice(0, random.below(bundle.length)) : bundle.slice();
      if (round % 3 !== 0) bad[random.below(bad.length)]! ^= 1 << random.below(8);
      assert.throws(() => sw.parseBundle(bad), sw.SealwireError);
    }
  });

  test('a bundle that was not verified starts nothing', () => {
    const forged = Object.create(sw.VerifiedBundle.prototype) as sw.VerifiedBundle;
    assert.throws(() => new sw.ClientHandshake(forged, sw.makeContext({ label: 'demo' }), { early: 'allow' }), sw.UsageError);
  });
});

describe('web streams', () => {
  test('seal and open are each other’s inverse', async () => {
    const secret = sw.randomBytes(32);
    const sealer = new sw.Sealer({ half: 's2c', secret: secret.slice() });
    const opener = new sw.Opener({ half: 's2c', secret });
    const source = new Blob([new Uint8Array(100_000).fill(7)]).stream();
    const opened = source.pipeThrough(new sw.SealTransform(sealer)).pipeThrough(new sw.OpenTransform(opener));
    const bytes = new Uint8Array(await new Response(opened).arrayBuffer());
    assert.equal(bytes.length, 100_000);
    assert.ok(bytes.every((byte) => byte === 7));
  });

  test('a cut stream fails instead of ending', async () => {
    const secret = sw.randomBytes(32);
    const sealer = new sw.Sealer({ half: 's2c', secret: secret.slice() });
    sealer.data(text('some'));
    const cut = new Blob([sealer.take() as Uint8Array<ArrayBuffer>]).stream();
    const opened = cut.pipeThrough(new sw.OpenTransform(new sw.Opener({ half: 's2c', secret })));
    await assert.rejects(new Response(opened).arrayBuffer(), isCode('truncated'));
  });

  test('aborting the plaintext makes no FINAL', async () => {
    const sealer = new sw.Sealer({ half: 'c2s', secret: sw.randomBytes(32) });
    const transform = new sw.SealTransform(sealer);
    const writer = transform.writable.getWriter();
    const reading = transform.readable.getReader().read();
    await writer.write(text('x'));
    await reading;
    await writer.abort(new Error('the application failed'));
    assert.equal(sealer.finished, false);
  });
});
