/** Server-sent events: where they end, and what they carry. */

import { concat, utf8Text } from './bytes.js';
import { MessageError } from './errors.js';

/** Bytes of one event that are held until it is whole. */
const MAX_EVENT = 8 * 1024 * 1024;

/** Whether a content type is that of an event stream. */
export function isEventStream(contentType: string): boolean {
  return /^text\/event-stream[ \t]*(;|$)/i.test(contentType);
}

/** The `data` of an event, its lines joined; undefined if it has none. */
export function eventData(event: Uint8Array): string | undefined {
  const lines = (utf8Text(event) ?? '').replace(/^\ufeff/, '').split(/\r\n|\r|\n/);
  const data = lines.flatMap((line) => (/^data(:|$)/.test(line) ? [line.slice(5).replace(/^ /, '')] : []));
  return data.length === 0 ? undefined : data.join('\n');
}

/** Whether an event is `[DONE]`, at which applications stop reading. */
export function isDone(event: Uint8Array): boolean {
  return /^\s*\[DONE\]/m.test(eventData(event) ?? '');
}

/** Splits an event stream into whole events, each with the blank line that ends it. */
export class EventSplitter {
  #open: Uint8Array = new Uint8Array(0);
  #lineStart = 0;

  /** What has come of the event that is not whole yet. */
  get rest(): Uint8Array {
    return this.#open;
  }

  /** Adds bytes; gives the events that are whole now. @throws MessageError for an event above 8 MiB. */
  push(bytes: Uint8Array): Uint8Array[] {
    this.#open = this.#open.length === 0 ? bytes : concat(this.#open, bytes);
    const events: Uint8Array[] = [];
    for (let end; (end = this.#eventEnd()) !== undefined;) {
      events.push(this.#open.subarray(0, end));
      this.#open = this.#open.subarray(end);
      this.#lineStart = 0;
    }
    if (this.#open.length > MAX_EVENT) throw new MessageError('an event is too large');
    return events;
  }

  /** Index after the next blank line. A CR at the very end waits, as an LF may follow. */
  #eventEnd(): number | undefined {
    const bytes = this.#open;
    for (let i = this.#lineStart; i < bytes.length; i++) {
      const byte = bytes[i];
      if (byte !== 10 && byte !== 13) continue;
      if (byte === 13 && i + 1 === bytes.length) return undefined;
      const next = byte === 13 && bytes[i + 1] === 10 ? i + 2 : i + 1;
      if (i === this.#lineStart) return next;
      this.#lineStart = next;
      i = next - 1;
    }
    return undefined;
  }
}
