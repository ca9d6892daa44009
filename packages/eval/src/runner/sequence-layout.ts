import type { PreparedInputsV1 } from '@spatialsv/core';

/** Sequences are padded to a multiple of this, so that texts of similar length share a compiled program. */
export const TOKEN_BUCKET = 32;
/** Visual rows are padded to a multiple of this. */
export const VISUAL_BUCKET = 64;
/** Slots of a key-value cache come in multiples of this. */
export const CACHE_BUCKET = 64;

export const roundUp = (value: number, bucket: number): number =>
  Math.ceil(value / bucket) * bucket;

/** A sequence padded to the static shapes of a program. Padding lies behind the sequence, where no token sees it. */
export interface PaddedSequence {
  /** T, the real tokens. */
  readonly tokens: number;
  /** Padded T. */
  readonly length: number;
  /** (length) int32, 0 for padding. */
  readonly inputIds: Int32Array;
  /** (R, length) int32; padding goes on counting. */
  readonly positions: Int32Array;
  readonly positionRows: number;
  /** (length) int32 row numbers of [text embeddings (length); visual rows (visualCapacity)]. */
  readonly spliceIndex: Int32Array;
  /** Padded number of visual rows; 0 without views. */
  readonly visualCapacity: number;
}

/** Pads the token-indexed arrays of prepared inputs and re-bases the visual rows behind the padded text. */
export function padSequence(inputs: PreparedInputsV1): PaddedSequence {
  const tokens = inputs.inputIds.length;
  const length = roundUp(tokens, TOKEN_BUCKET);
  const visual = inputs.grids.reduce(
    (sum, grid) => sum + grid.tokenIndex.length + grid.extraIndex.length,
    0,
  );
  const inputIds = new Int32Array(length);
  inputIds.set(inputs.inputIds);
  const spliceIndex = Int32Array.from({ length }, (_, i) => {
    const row = inputs.spliceIndex[i] ?? i;
    return i < tokens && row >= tokens ? row - tokens + length : row;
  });
  return {
    tokens,
    length,
    inputIds,
    positions: padPositions(inputs, length),
    positionRows: inputs.positionRows,
    spliceIndex,
    visualCapacity: roundUp(visual, VISUAL_BUCKET),
  };
}

function padPositions(inputs: PreparedInputsV1, length: number): Int32Array {
  const tokens = inputs.inputIds.length;
  return Int32Array.from({ length: inputs.positionRows * length }, (_, k) => {
    const row = Math.floor(k / length);
    const column = k % length;
    if (column < tokens) return inputs.positions[row * tokens + column]!;
    return inputs.nextPosition + column - tokens;
  });
}
