/** Conformance section 2.1: building blocks. */

import * as sw from '../index.js';
import { hex, unhex, type Json } from './common.js';

const receiptJson = (r: sw.Receipt): Json => ({
  kind: r.kind,
  flags: r.flags,
  status: r.status,
  index: r.index,
  tokens_in: r.tokensIn,
  tokens_out: r.tokensOut,
  tokens_cached: r.tokensCached,
  time: r.time,
  request_id: hex(r.requestId),
  attempt: r.attempt,
  th2: hex(r.th2),
  bundle_hash: hex(r.bundleHash),
  context_hash: hex(r.contextHash),
});

const bindingOf = (j: Json): sw.ReceiptBinding => ({
  th2: unhex(j.th2),
  bundleHash: unhex(j.bundle_hash),
  contextHash: unhex(j.context_hash),
  requestId: unhex(j.request_id),
  attempt: j.attempt,
});

/** One function a kind: the members of `expect`. */
export const BLOCKS: Record<string, (c: Json) => Json> = {
  bundle: ({ in: i }) => {
    const policy = i.policy && {
      suites: i.policy.suites,
      label: unhex(i.policy.label),
      singleUseRequired: i.policy.single_use_required,
      identities: i.policy.trusted_identities.map(unhex),
    };
    const b = policy === undefined ? sw.parseBundle(unhex(i.bundle)) : sw.verifyBundle(unhex(i.bundle), policy, BigInt(i.now)).bundle;
    return {
      suite: b.suite.id,
      flags: b.flags,
      single_use: b.singleUse,
      not_before: b.notBefore,
      not_after: b.notAfter,
      label: hex(b.label),
      kem_pk: hex(b.kemKey),
      identity: hex(b.identity),
      signature: hex(b.signature),
      bundle_id: hex(b.id),
    };
  },
  context: ({ in: i }) => {
    const c = sw.parseContext(unhex(i.context));
    return {
      label: hex(c.label),
      request_id: hex(c.requestId),
      attempt: c.attempt,
      billing: c.billing === undefined ? null : hex(c.billing),
    };
  },
  schedule: ({ in: i }) => {
    const th0 = sw.transcript0(i.suite, unhex(i.bundle), unhex(i.context));
    const th1 = sw.transcript1(th0, unhex(i.h1));
    const one = sw.schedule1(th0, th1, unhex(i.ss_s));
    const th2 = sw.transcript2(th1, one.confirm1, unhex(i.h2));
    const two = sw.schedule2(one.derived, th2, unhex(i.ss_c));
    return {
      th0: hex(th0),
      th1: hex(th1),
      th2: hex(th2),
      prk1: hex(one.prk1),
      confirm1: hex(one.confirm1),
      ts_c2s_0: hex(one.tsC2s0),
      derived: hex(one.derived),
      prk2: hex(two.prk2),
      confirm2: hex(two.confirm2),
      ts_s2c_0: hex(two.tsS2c0),
      ts_c2s_1: hex(two.tsC2s1),
      exporter: hex(two.exporter),
    };
  },
  ratchet: ({ in: i }) => {
    const secrets = [unhex(i.ts)];
    while (secrets.length < i.epochs) secrets.push(sw.nextSecret(secrets.at(-1) as Uint8Array));
    const keys = secrets.map((s) => sw.trafficKeys(s));
    return {
      secrets: secrets.map(hex),
      keys: keys.map((k) => hex(k.key)),
      ivs: keys.map((k) => hex(k.iv)),
      nonces: i.seqs.map((s: Json) => hex(sw.frameNonce(keys[0]?.iv as Uint8Array, s))),
    };
  },
  padding: ({ in: i }) => ({ padded: sw.paddedLength(i.policy, i.length) }),
  exporter: ({ in: i }) => ({ output: hex(new sw.Exporter(unhex(i.exporter)).export(unhex(i.label), unhex(i.context), i.length)) }),
  receipt: ({ in: i, coins }) => {
    if (i.fields === undefined)
      return receiptJson(new sw.ReceiptVerifier(unhex(i.identity), bindingOf(i.expected), i.previous).accept(unhex(i.receipt)));
    const f = i.fields;
    const counts = {
      tokensIn: BigInt(f.tokens_in),
      tokensOut: BigInt(f.tokens_out),
      tokensCached: BigInt(f.tokens_cached),
      time: BigInt(f.time),
    };
    return {
      receipt: hex(
        sw.makeReceipt(unhex(coins.identity_seed), {
          ...bindingOf(f),
          kind: f.kind,
          flags: f.flags,
          status: f.status,
          index: f.index,
          ...counts,
        }),
      ),
    };
  },
};
