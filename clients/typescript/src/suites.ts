/** Suites: ML-KEM-768 and X-Wing (protocol section 2.4). */

import { ml_kem768 } from '@noble/post-quantum/ml-kem.js';
import { x25519 } from '@noble/curves/ed25519.js';
import { sha3_256, shake256 } from '@noble/hashes/sha3.js';
import { concat, randomBytes, wipe } from './bytes.js';
import { UsageError } from './errors.js';

/** Number of ML-KEM-768. */
export const SUITE_MLKEM768 = 0x0001;
/** Number of X-Wing (ML-KEM-768 with X25519). */
export const SUITE_XWING = 0x0002;

const MLKEM_PK = 1_184;
const MLKEM_CT = 1_088;
const XWING_LABEL = Uint8Array.of(0x5c, 0x2e, 0x2f, 0x2f, 0x5e, 0x5c);

/** A decapsulation key. It lives in this process only and is erased with {@link KemKey.erase}. */
export interface KemKey {
  /** The encapsulation key that belongs to it. */
  readonly publicKey: Uint8Array;
  /**
   * The shared secret of a ciphertext; undefined if its length is not the suite's, if X25519 gives zeros (K-2),
   * or if the key has been erased.
   */
  decapsulate(ciphertext: Uint8Array): Uint8Array | undefined;
  /** Overwrites the private key with zeros, as far as JavaScript lets one. */
  erase(): void;
}

/** A KEM with its sizes, all in bytes. */
export interface Suite {
  readonly id: number;
  readonly name: string;
  readonly publicKeyBytes: number;
  readonly ciphertextBytes: number;
  readonly keyCoinBytes: number;
  readonly encapsCoinBytes: number;
  /** Length of H1 in bytes. */
  readonly h1Bytes: number;
  /** Length of H2 in bytes. */
  readonly h2Bytes: number;
  /** Makes a key from fresh coins, or from given ones (test vectors only). */
  generate(coins?: Uint8Array): KemKey;
  /** The checks of section 2.4 on a received encapsulation key (K-1, K-2, K-3). */
  accepts(publicKey: Uint8Array): boolean;
  /**
   * Encapsulates to a key, with fresh coins or given ones (test vectors only).
   * @returns undefined if the key fails the checks of section 2.4.
   */
  encapsulate(publicKey: Uint8Array, coins?: Uint8Array): { ciphertext: Uint8Array; secret: Uint8Array } | undefined;
}

/** FIPS 203 section 7.2: every 12-bit coefficient of the key is below q = 3329. */
function modulusCheck(publicKey: Uint8Array): boolean {
  let bad = 0;
  for (let i = 0; i + 2 < MLKEM_PK - 32; i += 3) {
    const [b0, b1, b2] = [publicKey[i] as number, publicKey[i + 1] as number, publicKey[i + 2] as number];
    bad |= Number((b0 | ((b1 & 15) << 8)) >= 3329) | Number(((b1 >> 4) | (b2 << 4)) >= 3329);
  }
  return bad === 0;
}

/** X25519; undefined where the result is all zeros, which depends on the public value alone. */
function dh(scalar: Uint8Array, publicValue: Uint8Array): Uint8Array | undefined {
  try {
    return x25519.getSharedSecret(scalar, publicValue);
  } catch {
    return undefined;
  }
}

/** Copies coins to own memory, so that wiping them leaves the caller's alone. */
function ownCoins(coins: Uint8Array | undefined, length: number): Uint8Array {
  if (coins === undefined) return randomBytes(length);
  if (coins.length !== length) throw new UsageError(`coins must have ${length} bytes`);
  return coins.slice();
}

function h1Bytes(ciphertext: number, publicKey: number): number {
  return 22 + ciphertext + publicKey + 32;
}

const mlkem768: Suite = {
  id: SUITE_MLKEM768,
  name: 'ML-KEM-768',
  publicKeyBytes: MLKEM_PK,
  ciphertextBytes: MLKEM_CT,
  keyCoinBytes: 64,
  encapsCoinBytes: 32,
  h1Bytes: h1Bytes(MLKEM_CT, MLKEM_PK),
  h2Bytes: 2 + MLKEM_CT + 32,
  generate(coins) {
    const seed = ownCoins(coins, 64);
    const { publicKey, secretKey } = ml_kem768.keygen(seed);
    wipe(seed);
    let erased = false;
    return {
      publicKey,
      decapsulate: (ciphertext) => (erased || ciphertext.length !== MLKEM_CT ? undefined : ml_kem768.decapsulate(ciphertext, secretKey)),
      erase: () => {
        erased = true;
        wipe(secretKey);
      },
    };
  },
  accepts: (publicKey) => publicKey.length === MLKEM_PK && modulusCheck(publicKey),
  encapsulate(publicKey, coins) {
    if (!this.accepts(publicKey)) return undefined;
    const m = ownCoins(coins, 32);
    const { cipherText, sharedSecret } = ml_kem768.encapsulate(publicKey, m);
    wipe(m);
    return { ciphertext: cipherText, secret: sharedSecret };
  },
};

/** The combiner of X-Wing: SHA3-256(ss_M | ss_X | ct_X | pk_X | label). */
function combine(ssM: Uint8Array, ssX: Uint8Array, ctX: Uint8Array, pkX: Uint8Array): Uint8Array {
  const input = concat(ssM, ssX, ctX, pkX, XWING_LABEL);
  const out = sha3_256(input);
  wipe(input, ssM, ssX);
  return out;
}

const xwing: Suite = {
  id: SUITE_XWING,
  name: 'X-Wing',
  publicKeyBytes: MLKEM_PK + 32,
  ciphertextBytes: MLKEM_CT + 32,
  keyCoinBytes: 32,
  encapsCoinBytes: 64,
  h1Bytes: h1Bytes(MLKEM_CT + 32, MLKEM_PK + 32),
  h2Bytes: 2 + MLKEM_CT + 32 + 32,
  generate(coins) {
    const seed = ownCoins(coins, 32);
    const expanded = shake256(seed, { dkLen: 96 });
    wipe(seed);
    const { publicKey: pkM, secretKey: skM } = ml_kem768.keygen(expanded.subarray(0, 64));
    const skX = expanded.slice(64);
    wipe(expanded);
    const pkX = x25519.getPublicKey(skX);
    let erased = false;
    return {
      publicKey: concat(pkM, pkX),
      decapsulate: (ciphertext) => {
        if (erased || ciphertext.length !== MLKEM_CT + 32) return undefined;
        const ctX = ciphertext.subarray(MLKEM_CT);
        const ssM = ml_kem768.decapsulate(ciphertext.subarray(0, MLKEM_CT), skM);
        const ssX = dh(skX, ctX);
        if (ssX === undefined) {
          wipe(ssM);
          return undefined;
        }
        return combine(ssM, ssX, ctX, pkX);
      },
      erase: () => {
        erased = true;
        wipe(skM, skX);
      },
    };
  },
  accepts: (publicKey) =>
    publicKey.length === MLKEM_PK + 32 && modulusCheck(publicKey) && dh(new Uint8Array(32), publicKey.subarray(MLKEM_PK)) !== undefined,
  encapsulate(publicKey, coins) {
    if (publicKey.length !== MLKEM_PK + 32 || !modulusCheck(publicKey)) return undefined;
    const pkX = publicKey.subarray(MLKEM_PK);
    const eseed = ownCoins(coins, 64);
    const ssX = dh(eseed.subarray(32), pkX);
    if (ssX === undefined) {
      wipe(eseed);
      return undefined;
    }
    const ctX = x25519.getPublicKey(eseed.subarray(32));
    const { cipherText: ctM, sharedSecret: ssM } = ml_kem768.encapsulate(publicKey.subarray(0, MLKEM_PK), eseed.subarray(0, 32));
    wipe(eseed);
    return { ciphertext: concat(ctM, ctX), secret: combine(ssM, ssX, ctX, pkX) };
  },
};

/** The suite of a number, or undefined if section 2.4 does not list it. */
export function suiteOf(id: number): Suite | undefined {
  return id === SUITE_MLKEM768 ? mlkem768 : id === SUITE_XWING ? xwing : undefined;
}
