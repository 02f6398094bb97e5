/** What the kinds of conformance cases share. */

import * as sw from '../index.js';

/* Cases are data of many shapes; their schema is vectors/schema.json. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Json = any;
export const { fromHex: unhex, toHex: hex } = sw;

export function limitsOf(params: Json): Partial<sw.HalfLimits> {
  const names = {
    epoch_frames: 'epochFrames',
    max_frames: 'maxFrames',
    max_empty: 'maxEmpty',
    pad_budget: 'padBudget',
    byte_budget: 'byteBudget',
  };
  return Object.fromEntries(Object.entries(names).flatMap(([from, to]) => (from in params ? [[to, Number(params[from])]] : [])));
}

/** Runs steps until one fails; the code of a protocol error becomes `error`, anything else is a fault. */
export function attempt(steps: () => void): { error?: string } {
  try {
    steps();
    return {};
  } catch (error) {
    if (error instanceof sw.SealwireError || error instanceof sw.RelayError) return { error: error.code };
    if (error instanceof sw.SealedRefusal) return { error: `sealed-${error.status}` };
    if (error instanceof sw.MessageError) return { error: 'bad-message' };
    throw error;
  }
}

export const eventJson = (event: Json): Json =>
  event.type === 'error'
    ? { type: 'error', code: event.code, message: event.message }
    : { type: event.type === 'receipt' ? 'public' : event.type, bytes: hex(event.bytes) };

export function released(events: Json[]): Json {
  const bytes = unhex(
    events
      .filter((e) => e.type === 'data' || e.type === 'final')
      .map((e) => e.bytes)
      .join(''),
  );
  return { released: bytes.length, released_sha256: hex(sw.sha256(bytes)) };
}
