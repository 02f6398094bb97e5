#!/usr/bin/env node
/** A client for interoperability tests: the request's body on standard input, the verified answer on standard output. */

import { parseArgs } from 'node:util';
import { fromHex } from '../bytes.js';
import { MessageError, PeerError, RelayError, SealwireError } from '../errors.js';
import { createSealedFetch, receiptOf } from '../fetch.js';
import { RECEIPT_FINAL } from '../receipt.js';
import { nodeTransport } from './transport.js';

const { values } = parseArgs({
  options: {
    url: { type: 'string' },
    label: { type: 'string' },
    suite: { type: 'string', default: '2' },
    identity: { type: 'string' },
    early: { type: 'string', default: 'never' },
    key: { type: 'string' },
    path: { type: 'string', default: '/v1/chat/completions' },
    drip: { type: 'string' },
    padding: { type: 'string', default: 'none' },
    'single-use': { type: 'boolean', default: false },
  },
});

function need(name: 'url' | 'label' | 'identity'): string {
  const value = values[name];
  if (value === undefined) throw new Error(`--${name} is missing`);
  return value;
}

/** The content in `pieces` parts with 20 ms between them. */
function drip(content: Uint8Array, pieces: number): ReadableStream<Uint8Array> {
  const size = Math.max(1, Math.ceil(content.length / pieces));
  let at = 0;
  return new ReadableStream({
    async pull(controller) {
      if (at >= content.length) return controller.close();
      if (at > 0) await new Promise((resolve) => setTimeout(resolve, 20));
      controller.enqueue(content.subarray(at, at + size));
      at += size;
    },
  });
}

function describe(error: unknown): string {
  if (error instanceof SealwireError) return `${error.code}: ${error.message}`;
  if (error instanceof RelayError) return `${error.code}: ${error.message}`;
  if (error instanceof PeerError) return `${error.codeName}: ${error.message}`;
  if (error instanceof MessageError) return `bad-message: ${error.message}`;
  return `usage: ${String(error)}`;
}

async function main(): Promise<void> {
  const parts: Buffer[] = [];
  for await (const part of process.stdin) parts.push(part as Buffer);
  const content = new Uint8Array(Buffer.concat(parts));
  const sealed = createSealedFetch({
    relay: need('url'),
    label: need('label'),
    identities: [fromHex(need('identity'))],
    suites: [Number(values.suite)],
    earlyData: values.early === 'allow' ? 'allow' : 'never',
    singleUse: values['single-use'],
    attempts: 1,
    padding: { response: values.padding as 'none' },
    transport: nodeTransport(),
    ...(values.key === undefined ? {} : { key: values.key }),
  });
  const post = content.length > 0;
  const response = await sealed(values.path, {
    method: post ? 'POST' : 'GET',
    headers: { 'content-type': 'application/json' },
    ...(post ? { body: values.drip === undefined ? content : drip(content, Number(values.drip)) } : {}),
  });
  if (response.status !== 200) process.stderr.write(`status ${response.status}\n`);
  const body = response.body?.getReader();
  for (let read; body !== undefined && !(read = await body.read()).done;) process.stdout.write(read.value);
  if (receiptOf(response)?.kind !== RECEIPT_FINAL) throw new SealwireError('bad-receipt', 'the answer ended without a final receipt');
}

main().then(
  () => process.stdout.write('', () => process.exit(0)),
  (error: unknown) => {
    process.stderr.write(`error ${describe(error)}\n`);
    process.exitCode = 1;
    setTimeout(() => process.exit(1), 100).unref();
  },
);
