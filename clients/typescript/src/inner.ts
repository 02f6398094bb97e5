/** The inner HTTP messages: what a client seals and what an instance accepts (http sections 7 and 7.1). */

import { utf8, utf8Text } from './bytes.js';
import {
  encodeRequestHead,
  fieldValues,
  MessageFault,
  MessageReader,
  type Field,
  type MessageLimits,
  type RequestHead,
  type ResponseHead,
} from './bhttp.js';
import { SealedRefusal, SealwireError } from './errors.js';
import { objectMembers } from './json-members.js';

/** What a client wishes for s2c (H7.2). */
export type PaddingWish = 'none' | 'padme' | 'buckets' | 'constant';

const WISHES: readonly string[] = ['none', 'padme', 'buckets', 'constant'];
/** Fields of the application that a client seals and an instance hands on (H-40, H-41). */
const PASSED: readonly string[] = ['content-type', 'accept', 'accept-language', 'user-agent'];
/** Fields of the model server that an instance passes on (H7.1). */
const ANSWERED: readonly string[] = ['content-type', 'cache-control', 'retry-after', 'x-request-id', 'openai-processing-ms'];
/** Seconds that the clocks of client and instance may differ (H-39). */
const CLOCK = 90n;

/** The fields of the application's request that are sealed (H-40), with lower-case names. */
export function passedFields(fields: readonly Field[]): Field[] {
  return fields.map(([name, value]): Field => [name.toLowerCase(), value]).filter(([name]) => PASSED.includes(name));
}

/** The fields of the model server's answer that are sealed. */
export function answeredFields(fields: readonly Field[]): Field[] {
  return fields.map(([name, value]): Field => [name.toLowerCase(), value]).filter(([name]) => ANSWERED.includes(name));
}

/**
 * The head of a sealed request.
 * @param request fields of the application; those that are not passed on are left out.
 * @param time the client's clock, unix seconds. @param padding the wish for s2c.
 * @throws MessageFault for a method, path or field that HTTP does not have.
 */
export function sealedRequestHead(request: RequestHead, time: number, padding: PaddingWish): Uint8Array {
  const fields: Field[] = [['sealwire-time', String(time)]];
  if (padding !== 'none') fields.push(['sealwire-padding', padding]);
  return encodeRequestHead({ ...request, fields: [...fields, ...passedFields(request.fields)] });
}

/** A sealed request that an instance may forward. */
export interface AcceptedRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** Fields for the model server. */
  readonly fields: readonly Field[];
  readonly padding: PaddingWish;
  readonly content: Uint8Array;
}

/** What an instance knows when it judges a sealed request. */
export interface RequestJudge {
  /** Its clock, unix seconds. */
  readonly now: bigint;
  /** The label of context and bundle. */
  readonly label: string;
}

/**
 * Judges the head of a request: time, padding, method and path (H7.1, H-37 to H-39, H-44).
 * @param now the instance's clock, unix seconds.
 * @returns the wish for s2c.
 * @throws SealedRefusal 400, 404 or 405.
 */
export function judgeHead(head: RequestHead, hasContent: boolean, now: bigint): PaddingWish {
  const times = fieldValues(head.fields, 'sealwire-time');
  if (times.length !== 1 || !/^0*[0-9]{1,20}$/.test(times[0] ?? ''))
    throw new SealedRefusal(400, 'sealwire-time is missing or cannot be read');
  const difference = BigInt(times[0] ?? '') - now;
  if (difference > CLOCK || difference < -CLOCK) throw new SealedRefusal(400, 'the clocks of client and instance differ by more than 90 s');
  const wishes = fieldValues(head.fields, 'sealwire-padding');
  const padding = wishes[0] ?? 'none';
  if (wishes.length > 1 || !WISHES.includes(padding)) throw new SealedRefusal(400, 'sealwire-padding cannot be read');
  if (head.method !== 'POST' && head.method !== 'GET') throw new SealedRefusal(405, 'no such method');
  const path = head.path.split('?')[0] ?? '';
  const segments = path.split('/').slice(2);
  const plain = /^\/v1\/[A-Za-z0-9/\-_.:]+$/.test(path) && !segments.some((s) => s === '' || s === '.' || s === '..');
  const known = plain || path === '/tokenize' || path === '/detokenize';
  if (!known || head.path.includes('#')) throw new SealedRefusal(404, 'no such path');
  if (head.method === 'GET' && hasContent) throw new SealedRefusal(400, 'a GET with content');
  return padding as PaddingWish;
}

/**
 * Judges the content of a request whose head was accepted: one JSON object with unique names, for this label (H-45).
 * @throws SealedRefusal 400.
 */
export function judgeContent(method: string, content: Uint8Array, label: string): void {
  if (method !== 'POST') return;
  const text = utf8Text(content);
  const members = text === undefined ? undefined : objectMembers(text);
  if (text === undefined || members === undefined) throw new SealedRefusal(400, 'the body is not one JSON object');
  if (new Set(members.map(({ name }) => name)).size !== members.length) throw new SealedRefusal(400, 'the body has a name twice');
  const model = members.find(({ name }) => name === 'model');
  const value: unknown = model === undefined ? undefined : JSON.parse(text.slice(model.valueStart, model.valueEnd));
  if (value !== label) throw new SealedRefusal(400, 'model is not the label of this stream');
}

/** What a fault of an inner request is answered with (H7). */
export function refusalOf(fault: MessageFault): SealedRefusal {
  return new SealedRefusal(fault.fault === 'head' ? 431 : fault.fault === 'content' ? 413 : 400, fault.message);
}

/**
 * Reads and judges the whole content of c2s.
 * @throws SealedRefusal
 */
export function readInnerRequest(content: Uint8Array, judge: RequestJudge, limits: Partial<MessageLimits> = {}): AcceptedRequest {
  const reader = new MessageReader<RequestHead>('request', limits);
  try {
    reader.push(content);
    reader.finish();
  } catch (error) {
    throw error instanceof MessageFault ? refusalOf(error) : error;
  }
  if (reader.head === undefined) throw new SealedRefusal(400, 'malformed HTTP message');
  const { head } = reader;
  const body = reader.takeContent();
  const padding = judgeHead(head, body.length > 0, judge.now);
  judgeContent(head.method, body, judge.label);
  return { method: head.method as 'GET' | 'POST', path: head.path, fields: passedFields(head.fields), padding, content: body };
}

/**
 * Reads the whole content of s2c, as a client judges it.
 * @param requestSent whether the client had sealed its FINAL before the answer ended.
 * @throws MessageFault for a malformed message; SealwireError `early-response`.
 */
export function readInnerResponse(
  content: Uint8Array,
  requestSent: boolean,
  limits: Partial<MessageLimits> = {},
): ResponseHead & { content: Uint8Array } {
  const reader = new MessageReader<ResponseHead>('response', limits);
  reader.push(content);
  reader.finish();
  if (reader.head === undefined) throw new MessageFault('malformed', 'malformed HTTP message');
  if (!requestSent && reader.head.status < 400) throw new SealwireError('early-response');
  return { ...reader.head, content: reader.takeContent() };
}

/** The body of an error of the instance, in the shape of the OpenAI API (H7.3). */
export function apiError(message: string, type: string, code: string | null = null): Uint8Array {
  return utf8(JSON.stringify({ error: { message, type, param: null, code } }));
}

/**
 * The content with `stream_options.include_usage` set, every other byte as it was (H-46).
 * @returns the content itself if it needs no change.
 */
export function withUsage(content: Uint8Array): { content: Uint8Array; added: boolean } {
  const text = utf8Text(content) ?? '';
  const members = objectMembers(text) ?? [];
  const value = (name: string): string | undefined => {
    const member = members.find((m) => m.name === name);
    return member === undefined ? undefined : text.slice(member.valueStart, member.valueEnd);
  };
  const unchanged = { content, added: false };
  if (value('stream') !== 'true') return unchanged;
  const edit = (from: number, to: number, insert: string): { content: Uint8Array; added: boolean } => ({
    content: utf8(text.slice(0, from) + insert + text.slice(to)),
    added: true,
  });
  const options = members.find((m) => m.name === 'stream_options');
  if (options === undefined) {
    const at = text.indexOf('{') + 1;
    return edit(at, at, '"stream_options":{"include_usage":true}' + (members.length > 0 ? ',' : ''));
  }
  const raw = value('stream_options');
  if (raw === 'null') return edit(options.valueStart, options.valueEnd, '{"include_usage":true}');
  const inner = objectMembers(text, options.valueStart, options.valueEnd);
  if (inner === undefined) return unchanged;
  const usage = inner.filter((m) => m.name === 'include_usage');
  if (usage.length === 0)
    return edit(options.valueStart + 1, options.valueStart + 1, '"include_usage":true' + (inner.length > 0 ? ',' : ''));
  const last = usage.at(-1);
  if (last === undefined || text.slice(last.valueStart, last.valueEnd) === 'true') return unchanged;
  return edit(last.valueStart, last.valueEnd, 'true');
}
