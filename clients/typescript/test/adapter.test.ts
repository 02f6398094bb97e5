import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseJsonExact, stringifyJsonExact } from '../src/json.js';

const adapter = fileURLToPath(new URL('../src/adapter.js', import.meta.url));

test('the adapter answers each line in order', () => {
  const lines = [
    { op: 'hello', protocol: 1 },
    { op: 'run', id: 'a', kind: 'padding', params: {}, coins: {}, in: { policy: 'padme', length: 1000 } },
    { op: 'run', id: 'b', kind: 'context', params: {}, coins: {}, in: { context: '00' } },
    { op: 'run', id: 'c', kind: 'nonsense', params: {}, coins: {}, in: {} },
    { op: 'accumulate', rounds: 0 },
  ];
  const run = spawnSync(process.execPath, [adapter], {
    input: lines.map((line) => `${JSON.stringify(line)}\n`).join(''),
    encoding: 'utf8',
  });
  const answers = run.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.equal(run.status, 0, run.stderr);
  assert.ok((answers[0]?.['kinds'] as string[]).includes('stream'));
  assert.deepEqual(answers[1], { id: 'a', expect: { padded: 1024 } });
  assert.deepEqual(answers[2], { id: 'b', expect: { error: 'bad-context' } });
  assert.equal(answers[3]?.['id'], 'c');
  assert.equal(typeof answers[3]?.['fault'], 'string');
  assert.deepEqual(answers[4], { digests: {} });
});

test('integers up to 2^64 - 1 come through JSON exactly', () => {
  const json = '{"a":18446744073709551615,"b":[1,9007199254740993],"c":"18446744073709551615 \\"12345678901234567\\"","d":1.5}';
  const value = parseJsonExact(json) as { a: bigint; b: unknown[] };
  assert.equal(value.a, 18446744073709551615n);
  assert.equal(value.b[1], 9007199254740993n);
  assert.equal(stringifyJsonExact(value), json);
});
