import { FORBIDDEN } from '../nn/cache-rows.js';
import { type PaddedSequence, roundUp, TOKEN_BUCKET } from './sequence-layout.js';

/** Text that follows in one of the sequences of a cache. */
export interface NextTokens {
  /** (T). */
  readonly inputIds: Int32Array;
  /** (R, T). */
  readonly positions: Int32Array;
  /** Slots of the tokens before, in their order. */
  readonly seen: ArrayLike<number>;
  /** (T) slots that these tokens take. */
  readonly slots: ArrayLike<number>;
}

/** New tokens of several sequences one after the other, padded to the static shape of a program. */
export interface NextRows {
  /** (length). */
  readonly inputIds: Int32Array;
  /** (R, length). */
  readonly positions: Int32Array;
  /** (length); padding goes into the slot that nobody sees. */
  readonly slots: Int32Array;
  /** Number of the last row of each sequence. */
  readonly last: Int32Array;
}

/** The last token of a sequence, as text that follows in it. @param slots (T) that its tokens take. */
export function lastToken(
  { tokens, length, inputIds, positions, positionRows }: PaddedSequence,
  slots: ArrayLike<number>,
): NextTokens {
  const last = tokens - 1;
  const rows = { length: positionRows };
  return {
    inputIds: inputIds.slice(last, tokens),
    positions: Int32Array.from(rows, (_, row) => positions[row * length + last]!),
    seen: Array.from({ length: last }, (_, i) => slots[i]!),
    slots: [slots[last]!],
  };
}

/** Rows of a program for so many tokens: few are exact up to the next power of two, so that few programs serve all batches. */
export const rowBucket = (tokens: number): number =>
  tokens < TOKEN_BUCKET ? 2 ** Math.ceil(Math.log2(tokens)) : roundUp(tokens, TOKEN_BUCKET);

/** @param spare the slot that padding is written into. */
export function layOutNext(
  sequences: readonly NextTokens[],
  positionRows: number,
  spare: number,
): NextRows {
  const tokens = sequences.reduce((sum, { inputIds }) => sum + inputIds.length, 0);
  const length = rowBucket(tokens);
  const inputIds = new Int32Array(length);
  const positions = new Int32Array(positionRows * length);
  const slots = new Int32Array(length).fill(spare);
  const last = new Int32Array(sequences.length);
  let first = 0;
  for (const [i, sequence] of sequences.entries()) {
    const count = sequence.inputIds.length;
    inputIds.set(sequence.inputIds, first);
    slots.set(sequence.slots, first);
    for (let row = 0; row < positionRows; row += 1) {
      const own = sequence.positions.subarray(row * count, (row + 1) * count);
      positions.set(own, row * length + first);
    }
    first += count;
    last[i] = first - 1;
  }
  return { inputIds, positions, slots, last };
}

/** (length, capacity) additive: each row sees the tokens before its own of its sequence, and itself. */
export function nextMask(
  sequences: readonly NextTokens[],
  length: number,
  capacity: number,
): Float32Array {
  const mask = new Float32Array(length * capacity).fill(FORBIDDEN);
  let row = 0;
  for (const { seen, slots } of sequences) {
    for (let i = 0; i < slots.length; i += 1, row += 1) {
      const own = mask.subarray(row * capacity, (row + 1) * capacity);
      for (let k = 0; k < seen.length; k += 1) own[seen[k]!] = 0;
      for (let k = 0; k <= i; k += 1) own[slots[k]!] = 0;
    }
  }
  return mask;
}
