/** Conformance section 2.5: HTTP. */

import * as sw from '../index.js';
import { hex, unhex, type Json } from './common.js';

function messageLimits(params: Json): Partial<sw.MessageLimits> {
  const names = { max_head: 'maxHead', max_fields: 'maxFields', max_content: 'maxContent' };
  return Object.fromEntries(Object.entries(names).flatMap(([from, to]) => (from in params ? [[to, Number(params[from])]] : [])));
}

/** One function a kind: the members of `expect`. */
export const HTTP: Record<string, (c: Json) => Json> = {
  'http-request': ({ in: i }) => ({ context: hex(sw.readSealedRequestFields(i.fields)) }),
  'http-response': ({ in: i }) => {
    if (sw.isSealedResponse(i.status, i.fields)) return { sealed: true };
    const { code, bundle } = sw.readProblem(i.status, i.fields, unhex(i.body));
    return { error: code, ...(bundle === undefined ? {} : { bundle: hex(bundle) }) };
  },
  'discovery-query': ({ in: i }) => {
    const q = sw.readDiscoveryQuery(i.query);
    return { label: q.label, single_use: q.singleUse, suite: q.suite ?? null };
  },
  'discovery-answer': ({ in: i }) => ({ bundles: sw.readDiscoveryAnswer(i.body).map(hex) }),
  'inner-request': ({ in: i, params }) => {
    const r = sw.readInnerRequest(unhex(i.content), { now: BigInt(i.now), label: i.label }, messageLimits(params));
    return { method: r.method, path: r.path, fields: r.fields, padding: r.padding, content: hex(r.content) };
  },
  'inner-response': ({ in: i, params }) => {
    const r = sw.readInnerResponse(unhex(i.content), i.request_sent, messageLimits(params));
    return { status: r.status, fields: r.fields, content: hex(r.content) };
  },
};
