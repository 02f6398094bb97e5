/** Reads the members of a JSON object with their places, so that the text can be changed without being rewritten. */

/** A member of an object: its unescaped name, and where its value stands in the text. */
export interface Member {
  readonly name: string;
  readonly valueStart: number;
  readonly valueEnd: number;
}

/** Index after the white space at an index. */
function skip(text: string, at: number): number {
  while (at < text.length && ' \t\n\r'.includes(text.charAt(at))) at += 1;
  return at;
}

/** Index after the string that starts at an index. */
function stringEnd(text: string, at: number): number {
  for (at += 1; text.charAt(at) !== '"'; at += 1) if (text.charAt(at) === '\\') at += 1;
  return at + 1;
}

/** Index after the value that starts at an index. */
function valueEnd(text: string, at: number): number {
  let depth = 0;
  do {
    const char = text.charAt(at);
    if (char === '"') at = stringEnd(text, at);
    else {
      if (char === '{' || char === '[') depth += 1;
      if (char === '}' || char === ']') depth -= 1;
      at += 1;
      if (depth === 0 && !'}]'.includes(char)) while (at < text.length && !',}] \t\n\r'.includes(text.charAt(at))) at += 1;
    }
  } while (depth > 0);
  return at;
}

/**
 * Members of the object that the text holds (or that stands at an index of it), in their order.
 * @returns undefined if the text is no JSON, or no object.
 */
export function objectMembers(text: string, start = 0, end = text.length): Member[] | undefined {
  try {
    const value: unknown = JSON.parse(text.slice(start, end));
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  } catch {
    return undefined;
  }
  const members: Member[] = [];
  let at = skip(text, skip(text, start) + 1);
  while (text.charAt(at) === '"') {
    const nameEnd = stringEnd(text, at);
    const name = JSON.parse(text.slice(at, nameEnd)) as string;
    const from = skip(text, skip(text, nameEnd) + 1);
    const to = valueEnd(text, from);
    members.push({ name, valueStart: from, valueEnd: to });
    at = skip(text, to);
    if (text.charAt(at) === ',') at = skip(text, at + 1);
  }
  return members;
}
