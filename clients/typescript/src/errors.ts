/** Errors: codes of the protocol (P8), the relay plane (P8.1), ERROR frames (P6.6) and wrong calls. */

/** Every code of protocol section 8. */
export const ERROR_CODES = [
  'bundle-version',
  'bundle-suite',
  'bundle-flags',
  'bundle-length',
  'bundle-window',
  'bundle-label',
  'bundle-signature',
  'bundle-kem-key',
  'policy-suite',
  'label-mismatch',
  'policy-single-use',
  'clock-skew',
  'identity-untrusted',
  'bad-context',
  'bad-magic',
  'bad-version',
  'bad-suite',
  'bad-flags',
  'handshake-timeout',
  'no-duplex',
  'key-unknown',
  'suite-mismatch',
  'confirm-failed',
  'bad-client-key',
  'replayed',
  'busy',
  'bad-frame-type',
  'bad-frame-length',
  'decrypt',
  'bad-inner-type',
  'bad-content-length',
  'bad-padding',
  'unexpected-frame',
  'key-update-flood',
  'empty-flood',
  'pad-budget',
  'too-large',
  'bad-error',
  'trailing-data',
  'exhausted',
  'truncated',
  'early-response',
  'bad-receipt',
  'receipt-signature',
  'receipt-mismatch',
  'receipt-order',
] as const;

/** A code of protocol section 8. */
export type ErrorCode = (typeof ERROR_CODES)[number];

/** A failure of the protocol: what a peer or a transport sent, or left out, was refused. It is final. */
export class SealwireError extends Error {
  override readonly name = 'SealwireError';
  /** The code of protocol section 8. */
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message?: string) {
    super(message ?? code);
    this.code = code;
  }
}

/** The closed list of the relay plane (P8.1, H6). */
export const RELAY_CODES = ['busy', 'gone', 'key-unknown', 'auth', 'quota', 'too-large', 'refused', 'replayed', 'internal'] as const;

/** A code of the relay plane. */
export type RelayCode = (typeof RELAY_CODES)[number];

/**
 * An error that a relay, or an instance before H2, gave in clear (P8.1). It is not authenticated, and
 * never output of the model; `gone` and `replayed` in particular can mean that the request ran.
 */
export class RelayError extends Error {
  override readonly name = 'RelayError';
  /** The code; one that is not on the list is `internal`. */
  readonly code: RelayCode;
  /** HTTP status of the answer, undefined if there was none. */
  readonly status: number | undefined;
  /** A fresh bundle that came with `key-unknown`, unverified. */
  readonly bundle: Uint8Array | undefined;

  constructor(code: RelayCode, status?: number, bundle?: Uint8Array, options?: ErrorOptions) {
    super(`the relay answered: ${code}`, options);
    this.code = code;
    this.status = status;
    this.bundle = bundle;
  }
}

/** Names of the ERROR codes of P6.6 by number. */
export const PEER_ERROR_NAMES: Readonly<Record<number, string>> = {
  1: 'internal',
  2: 'cancelled',
  3: 'upstream',
  4: 'upstream-timeout',
  5: 'too-large',
  6: 'protocol',
  7: 'incomplete',
  8: 'shutting-down',
};

/** The code of the ERROR that an instance sends when c2s failed with this error (P6.6, P8). */
export function streamCode(error: string): number {
  if (error === 'truncated') return 7;
  return error === 'too-large' || error === 'pad-budget' ? 5 : 6;
}

/** The other side ended its half with ERROR (P6.6): sealed, so it comes from the instance itself. */
export class PeerError extends Error {
  override readonly name = 'PeerError';
  /** The number as received. */
  readonly code: number;
  /** Its name; a number that P6.6 does not list is `internal` (F-21). */
  readonly codeName: string;
  /** The text that came with it, for people. */
  readonly text: string;

  constructor(code: number, text: string) {
    const codeName = PEER_ERROR_NAMES[code] ?? 'internal';
    super(text === '' ? `the instance ended the answer: ${codeName}` : `the instance ended the answer: ${codeName}: ${text}`);
    this.code = code;
    this.codeName = codeName;
    this.text = text;
  }
}

/** The sealed answer is no well-formed HTTP message (H7). */
export class MessageError extends Error {
  override readonly name = 'MessageError';
}

/** An instance's verdict on a sealed request: the status of the sealed answer (H7). */
export class SealedRefusal extends Error {
  override readonly name = 'SealedRefusal';
  /** 400, 404, 405, 413 or 431. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** A wrong call of this library. It says nothing about the peer, and never travels. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
