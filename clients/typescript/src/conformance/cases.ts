/** Runs a conformance case (spec/conformance.md section 2). */

import { BLOCKS } from './blocks.js';
import { attempt, type Json } from './common.js';
import { HTTP } from './http.js';
import { STREAMS } from './streams.js';

const ALL = { ...BLOCKS, ...STREAMS, ...HTTP };

/** The kinds that can be run. */
export const KINDS: readonly string[] = Object.keys(ALL);

/** Runs a case: the members of `expect` (perhaps with `mid`), or the error that it ends with. */
export function runCase(c: Json): Json {
  let result: Json;
  const failed = attempt(() => {
    const run = ALL[c.kind];
    if (run === undefined) throw new Error(`no such kind: ${c.kind}`);
    result = run({ ...c, params: c.params ?? {}, coins: c.coins ?? {} });
  });
  return failed.error === undefined ? result : failed;
}
