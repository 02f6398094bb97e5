/** Every case of a directory of vectors (SEALWIRE_VECTORS, default the repository's) through the adapter's own function. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { accumulate } from '../src/conformance/accumulate.js';
import { KINDS, runCase } from '../src/conformance/cases.js';
import { parseJsonExact } from '../src/json.js';

type Members = Record<string, unknown>;
interface Case {
  readonly id: string;
  readonly kind: string;
  readonly in: Members;
  readonly mid?: Members;
  readonly expect: Members;
}

const directory = process.env['SEALWIRE_VECTORS'] ?? fileURLToPath(new URL('../../../../vectors/v1', import.meta.url));

/** bigints and numbers of the same value are the same integer. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint' && value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member)]));
  return value;
}

function compare(c: Case, result: Members): void {
  const { mid, ...got } = result;
  for (const [name, value] of Object.entries(c.expect)) {
    const free = c.expect['error'] !== undefined && (name === 'released' || name === 'released_sha256') && !(name in got);
    if (!free) assert.deepEqual(plain(got[name]), plain(value), name);
  }
  if (c.expect['error'] === undefined) assert.equal(got['error'], undefined);
  for (const [name, value] of Object.entries((mid as Members | undefined) ?? {})) {
    if (c.mid !== undefined && name in c.mid) assert.deepEqual(plain(value), plain(c.mid[name]), `mid.${name}`);
  }
}

for (const file of readdirSync(directory).filter((name) => name.endsWith('.json'))) {
  const content = parseJsonExact(readFileSync(join(directory, file), 'utf8')) as { cases?: Case[]; milestones?: Record<string, string> };
  const { cases } = content;
  if (cases !== undefined) {
    describe(file, () => {
      for (const c of cases) {
        test(c.id, () => {
          assert.ok(KINDS.includes(c.kind), `kind ${c.kind}`);
          compare(c, runCase(c) as Members);
          if (c.kind !== 'open') return;
          const wire = c.in['wire'] as string;
          compare(c, runCase({ ...c, in: { ...c.in, chunks: Array<number>(wire.length / 2).fill(1) } }) as Members);
        });
      }
    });
  } else if (file.startsWith('accumulated')) {
    test('accumulated, 100 rounds', () => {
      assert.equal(accumulate(100)['100'], content.milestones?.['100']);
    });
  }
}
