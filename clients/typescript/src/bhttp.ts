/** Binary HTTP messages of indeterminate length (RFC 9292), as http section 7 narrows them. */

import { concat, concatAll } from './bytes.js';
import { MessageError } from './errors.js';

/** A field line: name and value. Values are ISO 8859-1 text, a character for each byte. */
export type Field = readonly [name: string, value: string];

/** Head of a request. Scheme and authority are read over (H-34). */
export interface RequestHead {
  readonly method: string;
  readonly path: string;
  readonly fields: readonly Field[];
}

/** Head of a response. */
export interface ResponseHead {
  readonly status: number;
  readonly fields: readonly Field[];
}

/** Bounds of a receiver (H-35). */
export interface MessageLimits {
  /** Bytes of the head, from the framing indicator to the end of its fields; of the trailers likewise. */
  readonly maxHead: number;
  /** Fields in the head or in the trailer section. */
  readonly maxFields: number;
  /** Bytes of content. */
  readonly maxContent: number;
}

export const DEFAULT_MESSAGE_LIMITS: MessageLimits = { maxHead: 65_536, maxFields: 128, maxContent: 64 * 1024 * 1024 };

/** A message was refused: `head` and `content` are bounds that were exceeded, `malformed` is everything else. */
export class MessageFault extends MessageError {
  readonly fault: 'malformed' | 'head' | 'content';

  constructor(fault: 'malformed' | 'head' | 'content', message: string) {
    super(message);
    this.fault = fault;
  }
}

const REQUEST = 2;
const RESPONSE = 3;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const LOWER_TOKEN = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;

/** Bytes of ISO 8859-1 text; undefined if a character is beyond it. */
export function latin1Bytes(text: string): Uint8Array | undefined {
  const out = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 255) return undefined;
    out[i] = code;
  }
  return out;
}

function latin1Text(bytes: Uint8Array): string {
  let out = '';
  for (const byte of bytes) out += String.fromCharCode(byte);
  return out;
}

/** A variable-length integer of RFC 9000, in its shortest form. */
export function varint(value: number): Uint8Array {
  if (value < 64) return Uint8Array.of(value);
  if (value < 16_384) return Uint8Array.of(0x40 | (value >> 8), value);
  if (value < 2 ** 30) return Uint8Array.of(0x80 | (value >> 24), value >> 16, value >> 8, value);
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, BigInt(value) | 0xc000000000000000n);
  return out;
}

function prefixed(text: string): Uint8Array {
  const bytes = latin1Bytes(text);
  if (bytes === undefined) throw new MessageFault('malformed', 'a character that HTTP fields cannot carry');
  return concat(varint(bytes.length), bytes);
}

const goodValue = (value: string): boolean => !/[\u0000-\u0008\u000a-\u001f\u007f]/.test(value);

function fieldSection(fields: readonly Field[]): Uint8Array {
  for (const [name, value] of fields) {
    if (!LOWER_TOKEN.test(name) || !goodValue(value)) throw new MessageFault('malformed', `no HTTP field: ${name}`);
  }
  return concatAll([...fields.flatMap(([name, value]) => [prefixed(name), prefixed(value)]), varint(0)]);
}

/**
 * Head of a request: scheme `https`, empty authority (H-32).
 * @throws MessageFault for a method, path or field that HTTP does not have.
 */
export function encodeRequestHead(head: RequestHead): Uint8Array {
  if (!TOKEN.test(head.method) || !goodPath(head.path)) throw new MessageFault('malformed', 'no method or path');
  return concat(varint(REQUEST), prefixed(head.method), prefixed('https'), prefixed(''), prefixed(head.path), fieldSection(head.fields));
}

/**
 * Head of a response.
 * @throws MessageFault for a status outside of 200 .. 599 (H-33) or a field that HTTP does not have.
 */
export function encodeResponseHead(head: ResponseHead): Uint8Array {
  if (!Number.isInteger(head.status) || head.status < 200 || head.status > 599) throw new MessageFault('malformed', 'no final status');
  return concat(varint(RESPONSE), varint(head.status), fieldSection(head.fields));
}

/** A piece of content; empty content gives no bytes. */
export function encodeContent(content: Uint8Array): Uint8Array {
  return content.length === 0 ? content : concat(varint(content.length), content);
}

/** End of the content and an empty trailer section. */
export function encodeEnd(): Uint8Array {
  return Uint8Array.of(0, 0);
}

function goodPath(path: string): boolean {
  return path.startsWith('/') && !/[^\u0021-\u007e]/.test(path);
}

/** Where a {@link MessageReader} stands. */
type State = 'indicator' | 'control' | 'fields' | 'content' | 'trailers' | 'done';

/**
 * Reads one message, in pieces of any size: push bytes, take content, then say where it ends.
 * @throws MessageFault on everything that H-33 to H-36 refuse.
 */
export class MessageReader<H extends RequestHead | ResponseHead> {
  readonly #kind: 'request' | 'response';
  readonly #limits: MessageLimits;
  #buffer: Uint8Array = new Uint8Array(0);
  #state: State = 'indicator';
  #fields: Field[] = [];
  #trailers = 0;
  #headBytes = 0;
  #trailerBytes = 0;
  #contentBytes = 0;
  #chunkLeft = 0;
  #control: { method: string; path: string } | { status: number } | undefined;
  #content: Uint8Array[] = [];
  #head: H | undefined;

  constructor(kind: H extends ResponseHead ? 'response' : 'request', limits: Partial<MessageLimits> = {}) {
    this.#kind = kind;
    this.#limits = { ...DEFAULT_MESSAGE_LIMITS, ...limits };
  }

  /** The head, once it is whole. */
  get head(): H | undefined {
    return this.#head;
  }

  /** Adds bytes. @throws MessageFault */
  push(bytes: Uint8Array): void {
    this.#buffer = this.#buffer.length === 0 ? bytes : concat(this.#buffer, bytes);
    while (this.#step());
    if (this.#head === undefined && this.#headBytes + this.#buffer.length > this.#limits.maxHead) this.#fault('head');
  }

  /** The content that has come since the last call, as one piece. */
  takeContent(): Uint8Array {
    const pieces = this.#content;
    this.#content = [];
    return pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : concatAll(pieces);
  }

  /** Says that the half has ended. @throws MessageFault if the message has not (H-36). */
  finish(): void {
    if (this.#state === 'done') return;
    const between = this.#buffer.length === 0 && this.#chunkLeft === 0;
    const beforeContent = this.#state === 'content' && this.#contentBytes === 0;
    const beforeTrailers = this.#state === 'trailers' && this.#trailers === 0;
    if (!between || !(beforeContent || beforeTrailers)) this.#fault('malformed');
    this.#state = 'done';
  }

  #fault(fault: 'malformed' | 'head' | 'content'): never {
    const text = { malformed: 'malformed HTTP message', head: 'the head is too large', content: 'the content is too large' };
    throw new MessageFault(fault, text[fault]);
  }

  /** A variable-length integer at an offset of the buffer: its value and size, or undefined if it is cut. */
  #varint(at: number): { value: number; size: number } | undefined {
    const first = this.#buffer[at];
    if (first === undefined) return undefined;
    const size = 1 << (first >> 6);
    if (this.#buffer.length < at + size) return undefined;
    let value = first & 0x3f;
    for (let i = 1; i < size; i++) value = value * 256 + (this.#buffer[at + i] as number);
    return { value, size };
  }

  /** Length-prefixed bytes at an offset, and where they end; the stated length is judged before they are there. */
  #bytes(at: number, bound: number): { bytes: Uint8Array; end: number } | undefined {
    const length = this.#varint(at);
    if (length === undefined) return undefined;
    const start = at + length.size;
    if (start + length.value > bound) this.#fault('head');
    if (this.#buffer.length < start + length.value) return undefined;
    return { bytes: this.#buffer.subarray(start, start + length.value), end: start + length.value };
  }

  #drop(bytes: number): void {
    this.#buffer = this.#buffer.subarray(bytes);
    if (this.#head === undefined) this.#headBytes += bytes;
  }

  /** Does one step; false if more bytes are needed. */
  #step(): boolean {
    switch (this.#state) {
      case 'indicator': {
        const first = this.#buffer[0];
        if (first === undefined) return false;
        if (first !== (this.#kind === 'request' ? REQUEST : RESPONSE)) this.#fault('malformed');
        this.#drop(1);
        this.#state = 'control';
        return true;
      }
      case 'control':
        return this.#kind === 'request' ? this.#requestControl() : this.#responseControl();
      case 'fields':
        return this.#fieldLine(this.#limits.maxHead - this.#headBytes);
      case 'content':
        return this.#chunk();
      case 'trailers':
        return this.#fieldLine(this.#limits.maxHead - this.#trailerBytes);
      case 'done':
        for (const byte of this.#buffer) if (byte !== 0) this.#fault('malformed');
        this.#buffer = new Uint8Array(0);
        return false;
    }
  }

  #requestControl(): boolean {
    const bound = this.#limits.maxHead - this.#headBytes;
    const parts: Uint8Array[] = [];
    let at = 0;
    for (let i = 0; i < 4; i++) {
      const part = this.#bytes(at, bound);
      if (part === undefined) return false;
      parts.push(part.bytes);
      at = part.end;
    }
    const [method, path] = [latin1Text(parts[0] as Uint8Array), latin1Text(parts[3] as Uint8Array)];
    if (!TOKEN.test(method) || !goodPath(path)) this.#fault('malformed');
    this.#control = { method, path };
    this.#drop(at);
    this.#state = 'fields';
    return true;
  }

  #responseControl(): boolean {
    const status = this.#varint(0);
    if (status === undefined) return false;
    if (status.value < 200 || status.value > 599) this.#fault('malformed');
    this.#control = { status: status.value };
    this.#drop(status.size);
    this.#state = 'fields';
    return true;
  }

  #fieldLine(bound: number): boolean {
    const trailers = this.#state === 'trailers';
    const length = this.#varint(0);
    if (length === undefined) return false;
    if (length.value === 0) {
      this.#drop(length.size);
      if (!trailers) this.#head = { ...this.#control, fields: this.#fields } as unknown as H;
      this.#state = trailers ? 'done' : 'content';
      return true;
    }
    const name = this.#bytes(0, bound);
    if (name === undefined) return false;
    const value = this.#bytes(name.end, bound);
    if (value === undefined) return false;
    const field: Field = [latin1Text(name.bytes), latin1Text(value.bytes)];
    if (!LOWER_TOKEN.test(field[0]) || !goodValue(field[1])) this.#fault('malformed');
    this.#trailers += Number(trailers);
    if ((trailers ? this.#trailers : this.#fields.length + 1) > this.#limits.maxFields) this.#fault('head');
    if (trailers) this.#trailerBytes += value.end;
    else this.#fields.push(field);
    this.#drop(value.end);
    return true;
  }

  #chunk(): boolean {
    if (this.#chunkLeft === 0) {
      const length = this.#varint(0);
      if (length === undefined) return false;
      this.#drop(length.size);
      if (length.value === 0) {
        this.#state = 'trailers';
        return true;
      }
      if (length.value > this.#limits.maxContent - this.#contentBytes) this.#fault('content');
      this.#chunkLeft = length.value;
      this.#contentBytes += length.value;
    }
    if (this.#buffer.length === 0) return false;
    const piece = this.#buffer.slice(0, this.#chunkLeft);
    this.#content.push(piece);
    this.#chunkLeft -= piece.length;
    this.#drop(piece.length);
    return true;
  }
}

/** The values of a field, by its lower-case name. */
export function fieldValues(fields: readonly Field[], name: string): string[] {
  return fields.filter(([key]) => key.toLowerCase() === name).map(([, value]) => value);
}
