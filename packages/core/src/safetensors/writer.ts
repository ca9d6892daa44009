import { stat } from 'node:fs/promises';
import path from 'node:path';
import { SpatialError } from '../errors.js';
import { writeFileAtomic } from '../files.js';
import { byteLengthOf, bytesPerElement, encodeFloat32, type SafetensorsDType } from './dtypes.js';
import { INDEX_FILE, SINGLE_FILE } from './index-file.js';
import type { SafetensorsReader } from './reader.js';

/** A tensor to be written. `bytes` is called when its turn comes, so that only one tensor is in memory at a time. */
export interface TensorSource {
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
  /** Little-endian, row-major. */
  bytes(): Uint8Array | AsyncIterable<Uint8Array>;
}

export type TensorSources = ReadonlyMap<string, TensorSource>;

export interface WriteOptions {
  /** `{ format: 'pt' }` unless given: what `transformers` asks for. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** A source from float32 values, rounded to nearest even where `dtype` is narrower. */
export const float32Source = (
  data: Float32Array,
  shape: readonly number[],
  dtype: SafetensorsDType = 'F32',
): TensorSource => ({ dtype, shape, bytes: () => encodeFloat32(dtype, data) });

/** A source that copies a tensor of an opened checkpoint, byte for byte, in pieces. */
export const copySource = (reader: SafetensorsReader, name: string): TensorSource => {
  const { dtype, shape } = reader.info(name);
  return { dtype, shape, bytes: () => reader.stream(name) };
};

/** Widest elements first keeps every tensor aligned to its element size; names make the order reproducible. */
export const inFileOrder = <Source extends Pick<TensorSource, 'dtype'>>(
  tensors: ReadonlyMap<string, Source>,
): readonly (readonly [string, Source])[] =>
  [...tensors].sort(
    ([nameA, a], [nameB, b]) =>
      bytesPerElement(b.dtype) - bytesPerElement(a.dtype) || (nameA < nameB ? -1 : 1),
  );

/** Length and JSON header of tensors that lie one after the other. */
export const encodeHeader = (
  ordered: readonly (readonly [string, Pick<TensorSource, 'dtype' | 'shape'>])[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array => {
  let position = 0;
  const entries = ordered.map(([name, { dtype, shape }]) => {
    const begin = position;
    position += byteLengthOf(dtype, shape);
    return [name, { dtype, shape, data_offsets: [begin, position] }] as const;
  });
  const json = JSON.stringify(Object.fromEntries([['__metadata__', metadata], ...entries]));
  const text = new TextEncoder().encode(json);
  const bytes = new Uint8Array(8 + Math.ceil(text.byteLength / 8) * 8).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(bytes.byteLength - 8), true);
  bytes.set(text, 8);
  return bytes;
};

export const wrongSize = (
  name: string,
  source: Pick<TensorSource, 'dtype' | 'shape'>,
  found: number,
): SpatialError =>
  new SpatialError({
    code: 'SHAPE_MISMATCH',
    message:
      `tensor "${name}": ${source.dtype} (${source.shape.join(', ')}) needs ` +
      `${byteLengthOf(source.dtype, source.shape)} bytes, found ${found}`,
    hint: 'Give the tensor the shape that its values have.',
  });

async function* streamTensor(name: string, source: TensorSource): AsyncGenerator<Uint8Array> {
  const content = source.bytes();
  const expected = byteLengthOf(source.dtype, source.shape);
  let written = 0;
  for await (const chunk of content instanceof Uint8Array ? [content] : content) {
    written += chunk.byteLength;
    if (written > expected) throw wrongSize(name, source, written);
    yield chunk;
  }
  if (written !== expected) throw wrongSize(name, source, written);
}

async function* streamFile(
  tensors: TensorSources,
  metadata: Readonly<Record<string, string>>,
): AsyncGenerator<Uint8Array> {
  const ordered = inFileOrder(tensors);
  yield encodeHeader(ordered, metadata);
  for (const [name, source] of ordered) yield* streamTensor(name, source);
}

/**
 * Writes one safetensors file. A crash leaves the old file; at most one tensor (or one piece of a streamed one) is in
 * memory at a time.
 * @throws SpatialError SHAPE_MISMATCH when a source gives another number of bytes than its shape says.
 */
export const writeSafetensors = async (
  file: string,
  tensors: TensorSources,
  options: WriteOptions = {},
): Promise<void> => {
  if (tensors.has('__metadata__'))
    throw new SpatialError({
      code: 'WEIGHT_UNEXPECTED',
      message: `${file}: a tensor cannot be called "__metadata__"`,
      hint: 'Rename the tensor.',
    });
  await writeFileAtomic(file, streamFile(tensors, options.metadata ?? { format: 'pt' }));
};

const groupByShard = (
  tensors: TensorSources,
  weightMap: ReadonlyMap<string, string>,
): ReadonlyMap<string, Map<string, TensorSource>> => {
  const shards = new Map<string, Map<string, TensorSource>>();
  for (const [name, shard] of weightMap) {
    const source = tensors.get(name);
    if (!source) throw layoutError('WEIGHT_MISSING', name, 'is in the layout but was not given');
    const group = shards.get(shard) ?? new Map<string, TensorSource>();
    shards.set(shard, group.set(name, source));
  }
  for (const name of tensors.keys())
    if (!weightMap.has(name))
      throw layoutError('WEIGHT_UNEXPECTED', name, 'was given but has no shard');
  return shards;
};

const layoutError = (
  code: 'WEIGHT_MISSING' | 'WEIGHT_UNEXPECTED',
  name: string,
  problem: string,
): SpatialError =>
  new SpatialError({
    code,
    message: `tensor "${name}" ${problem}`,
    hint: 'Give exactly the tensors that the weight map names.',
  });

const encodeIndex = (tensors: TensorSources, weightMap: ReadonlyMap<string, string>): string => {
  const sizes = [...tensors.values()].map(({ dtype, shape }) => byteLengthOf(dtype, shape));
  const totalBytes = sizes.reduce((sum, size) => sum + size, 0);
  const sorted = [...weightMap].sort(([a], [b]) => (a < b ? -1 : 1));
  const index = {
    metadata: { total_size: totalBytes },
    weight_map: Object.fromEntries(sorted),
  };
  return `${JSON.stringify(index, null, 2)}\n`;
};

/**
 * Writes the weights of a checkpoint folder: `model.safetensors`, or shards and their index where `weightMap` names
 * other files. Each file is written atomically and the index last; to replace a whole checkpoint atomically, write
 * into a new folder and rename that.
 * @param weightMap tensor name → file name, as {@link SafetensorsReader.weightMap} gives it; all in
 *   `model.safetensors` when absent.
 * @throws SpatialError WEIGHT_MISSING | WEIGHT_UNEXPECTED when tensors and weight map differ, FILE_INVALID for shards in a
 *   folder with a `model.safetensors`.
 */
export const saveWeights = async (
  folder: string,
  tensors: TensorSources,
  weightMap: ReadonlyMap<string, string> = singleFileMap(tensors),
  options: WriteOptions = {},
): Promise<void> => {
  const shards = groupByShard(tensors, weightMap);
  if (!shards.has(SINGLE_FILE)) await requireNoSingleFile(folder);
  for (const [shard, group] of shards)
    await writeSafetensors(path.join(folder, shard), group, options);
  const isSingle = shards.size === 1 && shards.has(SINGLE_FILE);
  if (!isSingle)
    await writeFileAtomic(path.join(folder, INDEX_FILE), encodeIndex(tensors, weightMap));
};

/** Whoever opens the folder would read that file and pass over the shards. */
const requireNoSingleFile = async (folder: string): Promise<void> => {
  const file = path.join(folder, SINGLE_FILE);
  if ((await stat(file).catch(() => undefined)) === undefined) return;
  throw new SpatialError({
    code: 'FILE_INVALID',
    message: `${file}: expected no such file where shards are written: it would be read in their place`,
    hint: 'Write into a new folder, or remove the file.',
  });
};

const singleFileMap = (tensors: TensorSources): ReadonlyMap<string, string> =>
  new Map([...tensors.keys()].map((name) => [name, SINGLE_FILE]));

/**
 * Every tensor of a checkpoint with some values replaced; dtypes and shapes stay as they are.
 * @param replaced float32 values by tensor name.
 * @throws SpatialError WEIGHT_MISSING for a name that the checkpoint lacks, SHAPE_MISMATCH for another element count.
 */
export const replaceWeights = (
  reader: SafetensorsReader,
  replaced: ReadonlyMap<string, Float32Array>,
): TensorSources => {
  for (const [name, data] of replaced) {
    const { dtype, shape } = reader.info(name);
    const found = data.length * bytesPerElement(dtype);
    if (found !== byteLengthOf(dtype, shape))
      throw wrongSize(name, float32Source(data, shape, dtype), found);
  }
  return new Map(
    [...reader.tensors.values()].map(({ name, dtype, shape }) => {
      const data = replaced.get(name);
      return [name, data ? float32Source(data, shape, dtype) : copySource(reader, name)];
    }),
  );
};
