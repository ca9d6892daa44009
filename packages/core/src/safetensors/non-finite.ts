import { open } from 'node:fs/promises';
import type { MappedTensor } from '@spatialsv/engine';
import { sizeOf } from '@spatialsv/engine';
import { readAt, unreadable } from '../files.js';
import { decodeFloat32 } from './dtypes.js';

/** A value that is NaN or infinite, and how many there are. */
export interface NonFiniteValues {
  /** Place of the first one, row-major. */
  readonly index: number;
  readonly value: number;
  readonly count: number;
}

/** The first value that is not finite; undefined where all are. */
export function findNonFinite(values: Float32Array): NonFiniteValues | undefined {
  // Infinities and NaN alike become NaN when they are multiplied by 0.
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! * 0;
  if (sum === 0) return undefined;
  const index = values.findIndex((value) => !Number.isFinite(value));
  let count = 0;
  for (const value of values) if (!Number.isFinite(value)) count++;
  return { index, value: values[index]!, count };
}

/** For messages: `NaN at index 7 (3 of 64 values)`. */
export const describeNonFinite = ({ index, value, count }: NonFiniteValues, size: number): string =>
  `${value} at index ${index} (${count} of ${size} values)`;

/** Read at a time; a multiple of every element size. */
const PIECE_BYTES = 1 << 24;

/** Values of a mapped tensor in pieces. @throws SpatialError FILE_INVALID when the file cannot be read. */
async function* pieces(tensor: MappedTensor): AsyncGenerator<Float32Array> {
  const handle = await open(tensor.file, 'r').catch((error: unknown) => {
    throw unreadable(tensor.file, error);
  });
  try {
    for (let start = 0; start < tensor.byteLength; start += PIECE_BYTES) {
      const length = Math.min(PIECE_BYTES, tensor.byteLength - start);
      const bytes = await readAt(handle, tensor.byteOffset + start, length);
      yield decodeFloat32(tensor.storedAs, bytes);
    }
  } finally {
    await handle.close();
  }
}

const findInTensor = async (tensor: MappedTensor): Promise<NonFiniteValues | undefined> => {
  let [seen, count] = [0, 0];
  let first: NonFiniteValues | undefined;
  for await (const values of pieces(tensor)) {
    const found = findNonFinite(values);
    first ??= found && { ...found, index: found.index + seen };
    count += found?.count ?? 0;
    seen += values.length;
  }
  return first && { ...first, count };
};

/** A weight with values that are not finite. */
export interface NonFiniteWeight extends NonFiniteValues {
  readonly name: string;
  readonly size: number;
}

/**
 * Weights with values that are NaN or infinite, in the order given; reads all of them.
 * @throws SpatialError FILE_INVALID when a file cannot be read; the signal's reason.
 */
export async function* nonFiniteWeights(
  weights: Readonly<Record<string, MappedTensor>>,
  signal?: AbortSignal,
): AsyncGenerator<NonFiniteWeight> {
  for (const [name, tensor] of Object.entries(weights)) {
    signal?.throwIfAborted();
    const found = await findInTensor(tensor);
    const size = sizeOf(tensor.shape);
    if (found !== undefined) yield { ...found, name, size };
  }
}
