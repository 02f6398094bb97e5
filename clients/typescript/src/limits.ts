/** Constants of the wire and limits (protocol sections 2.1 and 2.3). */

export const VERSION = 0x01;
export const FLAG_SINGLE_USE = 0x01;

export const FRAME_SEALED = 0x01;
export const FRAME_PUBLIC = 0x02;

export const INNER_DATA = 0x01;
export const INNER_FINAL = 0x02;
export const INNER_ERROR = 0x03;
export const INNER_KEY_UPDATE = 0x04;
export const INNER_SWITCH = 0x05;
export const INNER_PAD = 0x06;

/** Content plus zeros of one SEALED frame, bytes. */
export const MAX_CONTENT = 16_384;
/** Bytes of a frame's header. */
export const HEADER = 4;
/** Bytes of a tag. */
export const TAG = 16;
/** Inner type and content length at the end of a plaintext, bytes. */
export const TRAILER = 4;
export const SEALED_MIN = 20;
export const SEALED_MAX = 16_404;
export const PUBLIC_MIN = 17;
export const PUBLIC_MAX = 528;
/** Frames under one traffic secret. */
export const EPOCH_FRAMES = 65_536;
/** Frames in one half. */
export const MAX_FRAMES = 2 ** 48;
export const MAX_EMPTY = 32;
export const MAX_LABEL = 255;
export const MAX_CONTEXT = 1_024;
export const MAX_BILLING = 128;
export const MAX_ATTEMPTS = 8;
/** Seconds between not_before and not_after, and the life of a bundle's key. */
export const MAX_WINDOW = 1_200;
/** Age in seconds at which a multi-use bundle is replaced. */
export const ROTATION = 600;
/** Clock difference in seconds that a client forgives a bundle. */
export const SKEW = 120;
/** H1 accepted under one multi-use key. */
export const FILTER_CAPACITY = 65_536;
/** Milliseconds that a client keeps its ephemeral key waiting for H2. */
export const H2_DEADLINE_MS = 30_000;
export const INTERIM_ROUNDING = 256;
/** Bytes of PAD frames and DATA frames without content that a receiver takes in a half. */
export const PAD_BUDGET = 64 * 1024 * 1024;

/** Limits of one half; all but the budgets are constants of the protocol, and differ in test vectors only. */
export interface HalfLimits {
  /** Frames in an epoch (EPOCH_FRAMES). */
  readonly epochFrames: number;
  /** Frames in the half (MAX_FRAMES). */
  readonly maxFrames: number;
  /** Empty unpadded frames (MAX_EMPTY). */
  readonly maxEmpty: number;
  /** Sum of 4 + length over the frames a receiver takes (BYTE_BUDGET), bytes; none by default. */
  readonly byteBudget: number;
  /** Sum of 4 + length over PAD and DATA without content (PAD_BUDGET), bytes. */
  readonly padBudget: number;
}

export const DEFAULT_LIMITS: HalfLimits = {
  epochFrames: EPOCH_FRAMES,
  maxFrames: MAX_FRAMES,
  maxEmpty: MAX_EMPTY,
  byteBudget: Number.POSITIVE_INFINITY,
  padBudget: PAD_BUDGET,
};
