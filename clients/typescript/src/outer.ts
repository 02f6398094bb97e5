/** The outer HTTP messages: fields, problem documents and discovery (http sections 2, 3, 5 and 6). */

import { fromBase64url, toBase64url, utf8, utf8Text } from './bytes.js';
import type { Field } from './bhttp.js';
import { fieldValues } from './bhttp.js';
import { RELAY_CODES, RelayError, UsageError, type RelayCode } from './errors.js';
import { MAX_CONTEXT } from './limits.js';

export const MEDIA_REQUEST = 'application/vnd.sealwire.request';
export const MEDIA_RESPONSE = 'application/vnd.sealwire.response';
export const MEDIA_PROBLEM = 'application/problem+json';
/** Path of the sealed resource, under a server's base URL. */
export const PATH_REQUESTS = '/sealwire/v1/requests';
/** Path of discovery. */
export const PATH_BUNDLES = '/sealwire/v1/bundles';
/** Path at which an instance describes itself. */
export const PATH_INSTANCE = '/sealwire/v1/instance';

const MAX_BUNDLES = 16;
/** Bytes of a discovery answer or a problem document that a client reads. */
export const MAX_ANSWER = 65_536;

/** A base URL and a path of this protocol, one after the other. */
export function resourceUrl(base: string, path: string): string {
  return base.replace(/\/+$/, '') + path;
}

/** Fields of a sealed request (H-1), and of nothing else (H-2). */
export function sealedRequestFields(context: Uint8Array, key: string | undefined): Record<string, string> {
  return {
    'content-type': MEDIA_REQUEST,
    'sealwire-context': toBase64url(context),
    'cache-control': 'no-store, no-transform',
    ...authorization(key),
  };
}

/** `Authorization` with the relay's key, if there is one. */
export function authorization(key: string | undefined): Record<string, string> {
  return key === undefined ? {} : { authorization: `Bearer ${key}` };
}

function isMedia(fields: readonly Field[], media: string): boolean {
  const values = fieldValues(fields, 'content-type');
  return values.length === 1 && values[0]?.toLowerCase() === media;
}

/**
 * The context of a sealed request's fields, as a server judges them (H-4, H-5).
 * @throws RelayError `refused`
 */
export function readSealedRequestFields(fields: readonly Field[]): Uint8Array {
  const values = fieldValues(fields, 'sealwire-context');
  const context = values.length === 1 ? fromBase64url(values[0] ?? '') : undefined;
  if (!isMedia(fields, MEDIA_REQUEST) || context === undefined || context.length > MAX_CONTEXT) throw new RelayError('refused', 400);
  return context;
}

/** Whether status and fields are those of a sealed response (H-14). */
export function isSealedResponse(status: number, fields: readonly Field[]): boolean {
  return status === 200 && isMedia(fields, MEDIA_RESPONSE);
}

/** What a response that is not sealed says (section 6); text of it is never shown as output of the model. */
export function readProblem(status: number, fields: readonly Field[], body: Uint8Array): RelayError {
  if (!isMedia(fields, MEDIA_PROBLEM)) return new RelayError('internal', status);
  const document = readObject(utf8Text(body));
  const code = RELAY_CODES.find((known) => known === document?.['code']) ?? 'internal';
  const carried = document?.['bundle'];
  const bundle = code === 'key-unknown' && typeof carried === 'string' ? fromBase64url(carried) : undefined;
  return new RelayError(code, status, bundle);
}

const STATUS: Record<RelayCode, number> = {
  busy: 503,
  gone: 502,
  'key-unknown': 409,
  auth: 401,
  quota: 429,
  'too-large': 413,
  refused: 400,
  replayed: 409,
  internal: 500,
};

const TITLE: Record<RelayCode, string> = {
  busy: 'no capacity now',
  gone: 'the instance cannot be reached',
  'key-unknown': 'the key of this bundle is not held',
  auth: 'a key is needed',
  quota: 'the quota is used up',
  'too-large': 'the request is too large',
  refused: 'the request is not acceptable',
  replayed: 'this handshake came before',
  internal: 'something went wrong',
};

/** A problem document of the relay plane: status, fields and body. */
export function problemDocument(
  code: RelayCode,
  options: { status?: number; bundle?: Uint8Array } = {},
): {
  status: number;
  fields: Record<string, string>;
  body: string;
} {
  const status = options.status ?? STATUS[code];
  const bundle = options.bundle === undefined ? {} : { bundle: toBase64url(options.bundle) };
  return {
    status,
    fields: { 'content-type': MEDIA_PROBLEM, 'cache-control': 'no-store' },
    body: JSON.stringify({ title: TITLE[code], status, detail: TITLE[code], code, ...bundle }),
  };
}

function readObject(text: string | undefined): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text ?? '');
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** What is asked of discovery. */
export interface DiscoveryQuery {
  readonly label: string;
  readonly singleUse: boolean;
  readonly suite: number | undefined;
}

/** The URL of a discovery query. */
export function discoveryUrl(base: string, query: DiscoveryQuery): string {
  let label = '';
  for (const byte of utf8(query.label)) {
    const char = String.fromCharCode(byte);
    label += /[A-Za-z0-9\-._~]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  const suite = query.suite === undefined ? '' : `&suite=${query.suite}`;
  return `${resourceUrl(base, PATH_BUNDLES)}?label=${label}${query.singleUse ? '&single_use=true' : ''}${suite}`;
}

/** Text of percent-encoded UTF-8; "+" stands for itself. Undefined if it cannot be read. */
function percentDecode(text: string): string | undefined {
  const bytes: number[] = [];
  const raw = utf8(text);
  for (let i = 0; i < raw.length; i++) {
    const byte = raw[i] as number;
    if (byte !== 0x25) {
      bytes.push(byte);
      continue;
    }
    const digits = String.fromCharCode(raw[i + 1] ?? 0, raw[i + 2] ?? 0);
    if (!/^[0-9a-fA-F]{2}$/.test(digits)) return undefined;
    bytes.push(Number.parseInt(digits, 16));
    i += 2;
  }
  return utf8Text(Uint8Array.from(bytes));
}

/**
 * Reads the query of discovery, the text after "?" (H-21).
 * @throws RelayError `refused`
 */
export function readDiscoveryQuery(query: string): DiscoveryQuery {
  const refused = (): RelayError => new RelayError('refused', 400);
  const found = new Map<string, string>();
  for (const part of query.split('&')) {
    const equals = part.indexOf('=');
    const name = equals < 0 ? part : part.slice(0, equals);
    if (name !== 'label' && name !== 'single_use' && name !== 'suite') continue;
    const value = percentDecode(equals < 0 ? '' : part.slice(equals + 1));
    if (value === undefined || found.has(name)) throw refused();
    found.set(name, value);
  }
  const label = found.get('label');
  const singleUse = found.get('single_use') ?? 'false';
  const suite = found.get('suite');
  if (label === undefined || label === '' || (singleUse !== 'true' && singleUse !== 'false')) throw refused();
  const number = suite === undefined ? undefined : /^[0-9]+$/.test(suite) ? Number(suite) : 0;
  if (number !== undefined && (number < 1 || number > 65_535)) throw refused();
  return { label, singleUse: singleUse === 'true', suite: number };
}

/** The JSON of a discovery answer. */
export function discoveryAnswer(bundles: readonly Uint8Array[]): string {
  if (bundles.length > MAX_BUNDLES) throw new UsageError('a discovery answer holds at most 16 bundles');
  return JSON.stringify({ bundles: bundles.map((bundle) => ({ bundle: toBase64url(bundle) })) });
}

/**
 * Bundles of a discovery answer, none of them verified. An entry that is no base64url is left out.
 * @throws RelayError `internal` if the body is no such object.
 */
export function readDiscoveryAnswer(body: string): Uint8Array[] {
  const list = readObject(body)?.['bundles'];
  if (!Array.isArray(list) || utf8(body).length > MAX_ANSWER) throw new RelayError('internal', 200);
  return list.slice(0, MAX_BUNDLES).flatMap((entry: unknown) => {
    const text = typeof entry === 'object' && entry !== null ? (entry as Record<string, unknown>)['bundle'] : undefined;
    const bundle = typeof text === 'string' ? fromBase64url(text) : undefined;
    return bundle === undefined ? [] : [bundle];
  });
}
