#!/usr/bin/env node
/** The conformance adapter (spec/conformance.md section 3): one JSON object a line in, one a line out, in order. */

import { createInterface } from 'node:readline';
import { accumulate } from './conformance/accumulate.js';
import { KINDS, runCase } from './conformance/cases.js';
import { parseJsonExact, stringifyJsonExact } from './json.js';

const HELLO = {
  name: '@sealwire/client',
  version: '0.1.0',
  kinds: KINDS,
  capabilities: ['suite-2', 'kem-coins', 'client', 'instance'],
  accumulate: 100_000,
};

type Request = { op?: unknown; id?: unknown; protocol?: unknown; rounds?: unknown };

function answer(request: Request): object {
  switch (request.op) {
    case 'hello':
      return request.protocol === 1 ? HELLO : { fault: 'this is version 1 of the protocol' };
    case 'accumulate':
      return { digests: accumulate(Number(request.rounds)) };
    case 'run':
      try {
        const { mid, ...expect } = runCase(request);
        return { id: request.id, expect, ...(mid === undefined ? {} : { mid }) };
      } catch (error) {
        return { id: request.id, fault: String(error) };
      }
    default:
      return { id: request.id, fault: 'no such operation' };
  }
}

/** A line that is no JSON object is answered, too. */
function reply(line: string): object {
  try {
    const request = parseJsonExact(line);
    if (typeof request !== 'object' || request === null || Array.isArray(request)) return { fault: 'no JSON object' };
    return answer(request as Request);
  } catch (error) {
    return { fault: String(error) };
  }
}

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  if (line !== '') process.stdout.write(`${stringifyJsonExact(reply(line))}\n`);
}
