/** JSON with integers up to 2^64 - 1, which JSON.parse rounds: long integers become bigints, and bigints integers. */

const INTEGER = '\u0000integer ';
const TOKENS = /"(?:[^"\\]|\\.)*"|-?\d{16,}(?![\d.eE])/g;

/**
 * Like JSON.parse; integers of 16 digits and more are bigints.
 * @throws SyntaxError
 */
export function parseJsonExact(text: string): unknown {
  const marked = text.replace(TOKENS, (token) => (token.startsWith('"') ? token : JSON.stringify(INTEGER + token)));
  return JSON.parse(marked, (_name, value: unknown) =>
    typeof value === 'string' && value.startsWith(INTEGER) ? BigInt(value.slice(INTEGER.length)) : value,
  );
}

/** Like JSON.stringify; bigints become integers. */
export function stringifyJsonExact(value: unknown): string {
  const marked = JSON.stringify(value, (_name, member: unknown) => (typeof member === 'bigint' ? `${INTEGER}${member}` : member));
  return marked.replace(/"\\u0000integer (-?\d+)"/g, '$1');
}
