/** Accumulated mode (spec/conformance.md section 4): many streams from one seed, compared by a digest. */

import { sha256 } from '@noble/hashes/sha2.js';
import { shake128 } from '@noble/hashes/sha3.js';
import * as sw from '../index.js';

const MILESTONES = [100, 1_000, 10_000, 100_000];
const POLICIES: readonly sw.Padding[] = ['none', 'buckets', 'padme', { fixed: 256 }];
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/**
 * Runs rounds and gives the digest at each milestone.
 * @throws Error if the peer's half does not open to what was sealed.
 */
export function accumulate(rounds: number): Record<string, string> {
  const stream = shake128.create().update(text('sealwire/1 accumulated'));
  const take = (n: number): Uint8Array => (n === 0 ? new Uint8Array(0) : stream.xof(n));
  const pick = (n: number): number => new DataView(take(4).buffer).getUint32(0) % n;
  const absorbed = sha256.create();
  const digests: Record<string, string> = {};
  for (let round = 1; round <= rounds; round++) {
    const suite = sw.suiteOf(round % 2 === 1 ? 1 : 2) as sw.Suite;
    const [identitySeed, kemSeed, clientSeed] = [take(32), take(suite.keyCoinBytes), take(suite.keyCoinBytes)];
    const [encapsS, encapsC] = [take(suite.encapsCoinBytes), take(suite.encapsCoinBytes)];
    const label = text(`m${pick(1000)}`);
    const requestId = take(16);
    const attempt = 1 + pick(8);
    const billing = take(pick(17));
    const singleUse = pick(2) === 1;
    const limits = { epochFrames: 2 + pick(7) };
    const [early, late, answer] = [pick(4), pick(4), pick(8)];
    const padding = POLICIES[pick(4)] as sw.Padding;
    const contents = (n: number): Uint8Array[] => Array.from({ length: n }, () => take(pick(200)));

    const notBefore = 1_800_000_000n + BigInt(round);
    const kemKey = suite.generate(kemSeed).publicKey;
    const bundle = sw.makeBundle(identitySeed, { suite, singleUse, notBefore, notAfter: notBefore + 1_200n, label, kemKey });
    const context = sw.makeContext({ label, requestId, attempt, ...(billing.length > 0 ? { billing } : {}) });
    const policy = { suites: [suite.id], label, singleUseRequired: false, identities: [sw.ed25519PublicKey(identitySeed)] };
    const coins = { client: clientSeed, encaps: encapsS };
    const client = new sw.ClientHandshake(sw.verifyBundle(bundle, policy, notBefore), context, { early: 'allow', padding, limits, coins });
    const instance = new sw.Instance({ identitySeed });
    instance.adopt(bundle, kemSeed);
    const server = instance.accept(context.bytes, client.h1, { padding, limits, coins: encapsC });

    const up = contents(early);
    for (const content of up) client.sealer.data(content);
    const answered = client.readH2(server.h2);
    for (const content of contents(late)) {
      up.push(content);
      client.sealer.data(content);
    }
    client.sealer.final();
    const down = contents(answer);
    for (const content of down) {
      server.sealer.data(content);
      if (content.length % 2 === 1) server.sealer.keyUpdate();
    }
    server.sealer.final(text('done'));
    const [c2s, s2c] = [client.sealer.take(), server.sealer.take()];
    check(server.opener, c2s, sw.concat(...up));
    check(answered, s2c, sw.concat(...down, text('done')));
    const exported = answered.exporter.export(text('accumulated'), Uint8Array.of(round >>> 24, round >>> 16, round >>> 8, round), 32);
    for (const piece of [bundle, context.bytes, client.h1, server.h2, c2s, s2c, exported]) absorbed.update(piece);
    if (MILESTONES.includes(round)) digests[String(round)] = sw.toHex(absorbed.clone().digest());
  }
  return digests;
}

/** Opens a half and compares what comes out. */
function check(
  opener: Pick<sw.Opener, 'push' | 'finish'> & { next(): { type: string; bytes?: Uint8Array } | undefined },
  wire: Uint8Array,
  content: Uint8Array,
): void {
  const pieces: Uint8Array[] = [];
  opener.push(wire);
  for (let event; (event = opener.next()) !== undefined;) pieces.push(event.bytes ?? new Uint8Array(0));
  opener.finish();
  if (sw.toHex(sw.concat(...pieces)) !== sw.toHex(content)) throw new Error('the contents differ');
}
