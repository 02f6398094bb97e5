/** Web Streams around a sealer and an opener. */

import type { ClientStream } from './client.js';
import { PeerError } from './errors.js';
import type { Opener } from './opener.js';
import type { Receipt } from './receipt.js';
import type { Sealer } from './sealer.js';

/**
 * Plaintext chunks in, frames out. Closing the writable side seals FINAL; aborting it does not, so that the other side
 * sees a half that was cut (F-2). Protocol errors (`exhausted`) fail the stream.
 */
export class SealTransform extends TransformStream<Uint8Array, Uint8Array> {
  constructor(sealer: Sealer) {
    const out = (controller: TransformStreamDefaultController<Uint8Array>): void => {
      if (sealer.pending > 0) controller.enqueue(sealer.take());
    };
    super({
      transform(chunk, controller) {
        if (chunk.length > 0) sealer.data(chunk);
        out(controller);
      },
      flush(controller) {
        sealer.final();
        out(controller);
      },
    });
  }
}

/**
 * Wire chunks of any size in, verified plaintext out. The readable side closes only after FINAL, when the transport has
 * ended too; everything else fails it: SealwireError (`truncated` for a transport that ends early), or PeerError if the
 * half ended with ERROR. Of a {@link ClientStream}, receipts are verified and handed to `onReceipt`; a bare opener does not
 * know them, so a client uses its stream.
 */
export class OpenTransform extends TransformStream<Uint8Array, Uint8Array> {
  constructor(half: Opener | ClientStream, onReceipt?: (receipt: Receipt) => void) {
    const drain = (controller: TransformStreamDefaultController<Uint8Array>): void => {
      for (let event; (event = half.next()) !== undefined;) {
        if (event.type === 'error') throw new PeerError(event.code, event.message);
        if (event.type === 'receipt') onReceipt?.(event.receipt);
        else if (event.bytes.length > 0 && event.type !== 'public') controller.enqueue(event.bytes);
      }
    };
    super({
      transform(chunk, controller) {
        half.push(chunk);
        drain(controller);
      },
      flush() {
        half.finish();
      },
    });
  }
}
