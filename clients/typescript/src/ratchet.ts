/** Epochs of one half (protocol section 6.4) and the record cipher under them (section 6.1). */

import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { utf8, wipe } from './bytes.js';
import { hkdfExpand } from './schedule.js';

const KEY = utf8('sealwire/1 key');
const IV = utf8('sealwire/1 iv');
const NEXT = utf8('sealwire/1 next');

/** key and iv of a traffic secret. */
export function trafficKeys(secret: Uint8Array): { key: Uint8Array; iv: Uint8Array } {
  return { key: hkdfExpand(secret, KEY, 32), iv: hkdfExpand(secret, IV, 12) };
}

/** The traffic secret of the next epoch. */
export function nextSecret(secret: Uint8Array): Uint8Array {
  return hkdfExpand(secret, NEXT, 32);
}

/** nonce = iv XOR (0x00000000 | u64 seq). */
export function frameNonce(iv: Uint8Array, seq: number | bigint): Uint8Array {
  const nonce = iv.slice();
  const view = new DataView(nonce.buffer);
  view.setBigUint64(4, view.getBigUint64(4) ^ BigInt(seq));
  return nonce;
}

/** Traffic secret, key and iv of the current epoch; the old ones are overwritten when it advances (F-18). */
export class Ratchet {
  #secret: Uint8Array;
  #key: Uint8Array;
  #iv: Uint8Array;
  #epoch = 0;

  /** @param secret the first traffic secret, 32 bytes, which this object takes over. */
  constructor(secret: Uint8Array) {
    this.#secret = secret;
    ({ key: this.#key, iv: this.#iv } = trafficKeys(secret));
  }

  /** Advances along "next". */
  next(): void {
    this.#replace(nextSecret(this.#secret));
  }

  /** Advances to another secret, at SWITCH; takes it over. */
  switchTo(secret: Uint8Array): void {
    this.#replace(secret);
  }

  #replace(secret: Uint8Array): void {
    this.erase();
    this.#secret = secret;
    ({ key: this.#key, iv: this.#iv } = trafficKeys(secret));
    this.#epoch += 1;
  }

  /** Encrypts; the tag stands at the end of the result. */
  seal(seq: number, aad: Uint8Array, plaintext: Uint8Array): Uint8Array {
    return chacha20poly1305(this.#key, frameNonce(this.#iv, seq), aad).encrypt(plaintext);
  }

  /** Decrypts; undefined if the tag is wrong. */
  open(seq: number, aad: Uint8Array, ciphertext: Uint8Array): Uint8Array | undefined {
    try {
      return chacha20poly1305(this.#key, frameNonce(this.#iv, seq), aad).decrypt(ciphertext);
    } catch {
      return undefined;
    }
  }

  /** Overwrites everything with zeros. The object must not be used afterwards. */
  erase(): void {
    wipe(this.#secret, this.#key, this.#iv);
  }

  /** For test vectors: number, key and iv of the epoch, copied. */
  inspect(): [epoch: number, key: Uint8Array, iv: Uint8Array] {
    return [this.#epoch, this.#key.slice(), this.#iv.slice()];
  }
}
