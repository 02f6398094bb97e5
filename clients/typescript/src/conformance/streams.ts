/** Conformance sections 2.2 to 2.4: handshakes, halves and whole runs. */

import * as sw from '../index.js';
import { attempt, eventJson, hex, limitsOf, released, unhex, type Json } from './common.js';

/** Feeds bytes in pieces to an opener or a client's stream, then ends the transport. */
function receive(into: { push(b: Uint8Array): void; next(): unknown; finish(): void }, wire: Uint8Array, chunks: number[] = []): Json {
  const events: Json[] = [];
  const result = attempt(() => {
    let at = 0;
    for (const size of [...chunks, wire.length]) {
      into.push(wire.subarray(at, at + size));
      at += size;
      for (let event; (event = into.next()) !== undefined;) events.push(eventJson(event));
    }
    into.finish();
  });
  return { events, ...released(events), ...result };
}

/** Does operations of a seal or stream case; `onSwitch` is where SWITCH stands. */
function seal(sealer: sw.Sealer, ops: Json[], onSwitch: () => void): Json {
  const result = attempt(() => {
    for (const op of ops) {
      if (op.op === 'data') sealer.data(unhex(op.content));
      else if (op.op === 'final') sealer.final(unhex(op.content));
      else if (op.op === 'error') sealer.error(op.code, op.message);
      else if (op.op === 'public') sealer.public(unhex(op.bytes));
      else if (op.op === 'key_update') sealer.keyUpdate();
      else if (op.op === 'pad') sealer.pad(op.zeros);
      else onSwitch();
    }
  });
  return { wire: sealer.take(), ...result };
}

function verified(bundle: Uint8Array): sw.VerifiedBundle {
  const b = sw.parseBundle(bundle);
  return sw.verifyBundle(bundle, { suites: [b.suite.id], label: b.label, singleUseRequired: false, identities: [b.identity] }, b.notBefore);
}

function client(c: Json, early: sw.EarlyData = 'allow', padding: sw.Padding = 'none', uncheckedReceipts = false): sw.ClientHandshake {
  const coins = { client: unhex(c.coins.client_seed), encaps: unhex(c.coins.encaps_s) };
  return new sw.ClientHandshake(verified(unhex(c.in.bundle)), unhex(c.in.context), {
    early,
    padding,
    limits: limitsOf(c.params),
    coins,
    uncheckedReceipts,
  });
}

function instance(c: Json, padding: sw.Padding = 'none'): { held: sw.Instance; options: sw.AcceptOptions } {
  const seed = unhex(c.coins.identity_seed ?? '00'.repeat(32));
  const held = new sw.Instance({
    identitySeed: seed,
    ...('filter_capacity' in c.params ? { filterCapacity: c.params.filter_capacity } : {}),
  });
  held.adopt(unhex(c.in.bundle), unhex(c.coins.kem_seed));
  const taken = c.in.taken === true ? { beforeAdmit: () => held.discard(sw.sha256(unhex(c.in.bundle)).subarray(0, 16)) } : {};
  return {
    held,
    options: { capacity: c.params.busy !== true, coins: unhex(c.coins.encaps_c), limits: limitsOf(c.params), padding, ...taken },
  };
}

/** One function a kind: the members of `expect`, perhaps with `mid`. */
export const STREAMS: Record<string, (c: Json) => Json> = {
  handshake: (c) => {
    if (c.in.role === 'client') return { h1: hex(client(c).h1), ...attempt(() => client(c).readH2(unhex(c.in.h2))), h2: c.in.h2 };
    const { held, options } = instance(c);
    for (const seen of c.in.seen ?? []) attempt(() => held.accept(unhex(c.in.context), unhex(seen), options));
    const started = c.in.role === 'instance' ? undefined : client(c);
    const h1 = started?.h1 ?? unhex(c.in.h1);
    const { h2 } = held.accept(unhex(c.in.context), h1, options);
    started?.readH2(h2);
    return { h1: hex(h1), h2: hex(h2) };
  },
  open: ({ in: i, params }) => {
    const late = i.ts_late === undefined ? {} : { lateSecret: unhex(i.ts_late) };
    return receive(new sw.Opener({ half: i.half, secret: unhex(i.ts), ...late, limits: limitsOf(params) }), unhex(i.wire), i.chunks);
  },
  seal: ({ in: i, params }) => {
    const keys: Json[] = [];
    const onEpoch = (epoch: number, key: Uint8Array, iv: Uint8Array): void => void keys.push({ epoch, key: hex(key), iv: hex(iv) });
    const sealer = new sw.Sealer({ half: i.half, secret: unhex(i.ts), padding: i.padding, limits: limitsOf(params), onEpoch });
    const { wire, error } = seal(sealer, i.ops, () => sealer.switch(unhex(i.ts_late)));
    return { wire: hex(wire), ...(error === undefined ? {} : { error }), mid: { keys } };
  },
  stream: (c) => {
    const run = (chunksC2s: number[], chunksS2c: number[]): Json => {
      const { held, options } = instance(c, c.in.padding_s2c);
      const shake = client(c, c.in.early, c.in.padding_c2s);
      const server = held.accept(unhex(c.in.context), shake.h1, options);
      let stream: sw.ClientStream | undefined;
      const c2s = seal(shake.sealer, c.in.ops_c2s, () => (stream = shake.readH2(server.h2)));
      stream ??= shake.readH2(server.h2);
      const s2c = seal(server.sealer, c.in.ops_s2c, () => undefined);
      const [up, down] = [receive(server.opener, c2s.wire, chunksC2s), receive(stream, s2c.wire, chunksS2c)];
      const exported = [stream.exporter, server.exporter].map((e) =>
        hex(e.export(unhex(c.in.exporter.label), unhex(c.in.exporter.context), c.in.exporter.length)),
      );
      if (exported[0] !== exported[1]) throw new Error('the exporters differ');
      const error = c2s.error ?? s2c.error ?? up.error ?? down.error;
      return {
        h1: hex(shake.h1),
        h2: hex(server.h2),
        c2s: hex(c2s.wire),
        s2c: hex(s2c.wire),
        events_c2s: up.events,
        events_s2c: down.events,
        exporter: exported[0],
        ...(error === undefined ? {} : { ...released(down.events), error }),
      };
    };
    const runs = [
      ...(c.in.chunks_c2s ?? []).map((sizes: number[]) => run(sizes, [])),
      ...(c.in.chunks_s2c ?? []).map((sizes: number[]) => run([], sizes)),
      run([], []),
    ];
    if (runs.some((r) => JSON.stringify(r) !== JSON.stringify(runs[0]))) throw new Error('chunking changed the events');
    return runs[0];
  },
  carriage: (c) => {
    const { held, options } = c.in.role === 'instance' ? instance(c) : { held: undefined, options: {} };
    const peer =
      held === undefined
        ? new sw.ClientCarriage(c.in.transport, client(c, c.in.early, 'none', true))
        : new sw.InstanceCarriage(c.in.transport, held, options);
    const events: Json[] = [];
    const result = attempt(() => {
      if (peer instanceof sw.ClientCarriage && c.in.early === 'never' && c.in.duplex === false) throw peer.handshake.fail('no-duplex');
      for (const received of c.in.received) {
        peer.receive(unhex(received));
        for (let event; (event = peer.next()) !== undefined;) events.push(eventJson(event));
      }
      if (c.in.then === 'silence' && peer instanceof sw.ClientCarriage && peer.stream === undefined)
        throw peer.handshake.fail('handshake-timeout');
      peer.finish();
    });
    const own =
      peer instanceof sw.ClientCarriage
        ? result.error === 'no-duplex'
          ? []
          : [peer.first]
        : peer.stream === undefined
          ? []
          : [peer.stream.h2];
    return { sent: own.map(hex), events, ...released(events), ...result };
  },
};
