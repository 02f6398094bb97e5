/** The key schedule (protocol section 5.2) and the exporter (section 5.6). */

import { expand, extract } from '@noble/hashes/hkdf.js';
import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js';
import { concat, lp, u16, utf8, wipe } from './bytes.js';
import { UsageError } from './errors.js';

/** SHA-256 of FIPS 180-4. */
export function sha256(data: Uint8Array): Uint8Array {
  return nobleSha256(data);
}

/** HKDF-Expand of RFC 5869 with SHA-256. */
export function hkdfExpand(secret: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  return expand(nobleSha256, secret, info, length);
}

const LABELS = {
  th0: utf8('sealwire/1'),
  confirm1: utf8('sealwire/1 confirm1'),
  confirm2: utf8('sealwire/1 confirm2'),
  c2s0: utf8('sealwire/1 c2s 0'),
  c2s1: utf8('sealwire/1 c2s 1'),
  s2c0: utf8('sealwire/1 s2c 0'),
  derived: utf8('sealwire/1 derived'),
  exporter: utf8('sealwire/1 exporter'),
  exp: utf8('sealwire/1 exp'),
};

/** th0: the bundle, its suite and the context's bytes. */
export function transcript0(suite: number, bundle: Uint8Array, context: Uint8Array): Uint8Array {
  return sha256(concat(LABELS.th0, u16(suite), sha256(bundle), lp(context)));
}

/** th1: th0 and H1 without its last 32 bytes, confirm1. */
export function transcript1(th0: Uint8Array, h1WithoutConfirm: Uint8Array): Uint8Array {
  return sha256(concat(th0, h1WithoutConfirm));
}

/** th2: th1, confirm1 and H2 without its last 32 bytes, confirm2. A relay can compute it. */
export function transcript2(th1: Uint8Array, confirm1: Uint8Array, h2WithoutConfirm: Uint8Array): Uint8Array {
  return sha256(concat(th1, confirm1, h2WithoutConfirm));
}

/** What ss_s gives. */
export interface Schedule1 {
  readonly prk1: Uint8Array;
  readonly confirm1: Uint8Array;
  readonly tsC2s0: Uint8Array;
  readonly derived: Uint8Array;
}

/** What ss_c gives. */
export interface Schedule2 {
  readonly prk2: Uint8Array;
  readonly confirm2: Uint8Array;
  readonly tsS2c0: Uint8Array;
  readonly tsC2s1: Uint8Array;
  readonly exporter: Uint8Array;
}

/** First half of the schedule: from th0, th1 and ss_s. */
export function schedule1(th0: Uint8Array, th1: Uint8Array, ssS: Uint8Array): Schedule1 {
  const prk1 = extract(nobleSha256, ssS, th0);
  return {
    prk1,
    confirm1: hkdfExpand(prk1, concat(LABELS.confirm1, th1), 32),
    tsC2s0: hkdfExpand(prk1, concat(LABELS.c2s0, th1), 32),
    derived: hkdfExpand(prk1, concat(LABELS.derived, th1), 32),
  };
}

/** Second half of the schedule: from `derived`, th2 and ss_c. */
export function schedule2(derived: Uint8Array, th2: Uint8Array, ssC: Uint8Array): Schedule2 {
  const prk2 = extract(nobleSha256, ssC, derived);
  return {
    prk2,
    confirm2: hkdfExpand(prk2, concat(LABELS.confirm2, th2), 32),
    tsS2c0: hkdfExpand(prk2, concat(LABELS.s2c0, th2), 32),
    tsC2s1: hkdfExpand(prk2, concat(LABELS.c2s1, th2), 32),
    exporter: hkdfExpand(prk2, concat(LABELS.exporter, th2), 32),
  };
}

/** Values that both sides of a handshake can derive, and nobody else (section 5.6). */
export class Exporter {
  readonly #secret: Uint8Array;
  #erased = false;

  /** @param secret the 32-byte exporter secret, which this object takes over. */
  constructor(secret: Uint8Array) {
    this.#secret = secret;
  }

  /**
   * Derives bytes.
   * @param label bytes that name the use, at most 65,535.
   * @param context any bytes (not the context of section 4).
   * @param length number of bytes, 1 to 8,160.
   * @throws UsageError for another length, or after {@link Exporter.erase}.
   */
  export(label: Uint8Array, context: Uint8Array, length: number): Uint8Array {
    if (this.#erased) throw new UsageError('the exporter secret has been erased');
    if (!Number.isInteger(length) || length < 1 || length > 8_160) throw new UsageError('export() gives 1 to 8,160 bytes');
    return hkdfExpand(this.#secret, concat(lp(LABELS.exp), lp(label), sha256(context)), length);
  }

  /** Overwrites the secret with zeros. */
  erase(): void {
    this.#erased = true;
    wipe(this.#secret);
  }
}
