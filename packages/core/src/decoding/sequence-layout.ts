import type { PreparedInputsV1 } from '../spec.js';

/** Sequences are padded to a multiple of this, so that texts of similar length share a compiled program. */
export const TOKEN_BUCKET = 32;

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
  readonly positionRows: 1 | 3;
  /** (length) int32 row numbers of [text embeddings (length); visual rows]. */
  readonly spliceIndex: Int32Array;
}

type Sequence = Pick<
  PreparedInputsV1,
  'inputIds' | 'positions' | 'positionRows' | 'nextPosition' | 'spliceIndex'
>;

/** Pads the token-indexed arrays of prepared inputs and re-bases the visual rows behind the padded text. */
export function padSequence(
  inputs: Sequence,
  length = roundUp(inputs.inputIds.length, TOKEN_BUCKET),
): PaddedSequence {
  const tokens = inputs.inputIds.length;
  const inputIds = new Int32Array(length);
  inputIds.set(inputs.inputIds);
  const spliceIndex = Int32Array.from({ length }, (_, i) => {
    const row = inputs.spliceIndex[i] ?? i;
    return i < tokens && row >= tokens ? row - tokens + length : row;
  });
  const { positionRows } = inputs;
  const positions = padPositions(inputs, length);
  return { tokens, length, inputIds, positions, positionRows, spliceIndex };
}

function padPositions(inputs: Sequence, length: number): Int32Array {
  const tokens = inputs.inputIds.length;
  return Int32Array.from({ length: inputs.positionRows * length }, (_, k) => {
    const row = Math.floor(k / length);
    const column = k % length;
    if (column < tokens) return inputs.positions[row * tokens + column]!;
    return inputs.nextPosition + column - tokens;
  });
}
