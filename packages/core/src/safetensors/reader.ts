import { open } from 'node:fs/promises';
import path from 'node:path';
import type { MappedTensor } from '@spatialsv/engine';
import { SpatialError } from '../errors.js';
import { readAt, readInto, resolveFile, unreadable } from '../files.js';
import { nearestName } from '../nearest-name.js';
import {
  bytesPerElement,
  decodeFloat32,
  decodeInt32,
  type SafetensorsDType,
  widenInPlace,
} from './dtypes.js';
import {
  invalidFile,
  parseHeader,
  parseHeaderLength,
  type SafetensorsHeader,
  type TensorRecord,
} from './header.js';
import { INDEX_FILE, parseWeightMap, resolveShard, SINGLE_FILE } from './index-file.js';

/** One tensor of an opened checkpoint. */
export interface StoredTensor extends TensorRecord {
  readonly name: string;
  /** Real path of the file that holds it. */
  readonly file: string;
  /** Name of the shard in the checkpoint folder, for example `model-00001-of-00002.safetensors`. */
  readonly shard: string;
}

interface OpenedFile extends SafetensorsHeader {
  /** Real path. */
  readonly file: string;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  /** Times are too coarse to tell files that are written one right after the other. */
  readonly inode: number;
}

/** Bytes that a streamed tensor is cut into. */
const STREAM_BYTES = 1 << 24;

const withFile = async <Result>(
  file: string,
  use: (handle: Awaited<ReturnType<typeof open>>) => Promise<Result>,
): Promise<Result> => {
  const handle = await open(file, 'r').catch((error: unknown) => {
    throw unreadable(file, error);
  });
  try {
    return await use(handle);
  } catch (error) {
    throw SpatialError.isInstance(error) ? error : unreadable(file, error);
  } finally {
    await handle.close();
  }
};

const openFile = async (file: string): Promise<OpenedFile> => {
  const real = await resolveFile(file, 'Name a .safetensors file or a checkpoint folder.');
  return withFile(real, async (handle) => {
    const { size, mtimeMs, ino } = await handle.stat();
    const length = parseHeaderLength(await readAt(handle, 0, Math.min(8, size)), size, file);
    const bytes = await readAt(handle, 8, length);
    if (bytes.byteLength < length) throw invalidFile(file, 'the file shrank while it was read');
    return {
      ...parseHeader(bytes, size, file),
      file: real,
      sizeBytes: size,
      modifiedMs: mtimeMs,
      inode: ino,
    };
  });
};

/**
 * Tensors of one safetensors file or of a sharded checkpoint. Headers are parsed when it is opened; tensor bytes are
 * read when they are asked for and never kept. It holds no open file, so there is nothing to close.
 */
export class SafetensorsReader {
  /** `__metadata__` of the (first) file. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Tensors in the order of their names. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** The file or folder that was opened. */
  readonly source: string;
  readonly #files: ReadonlyMap<string, OpenedFile>;

  constructor(options: {
    source: string;
    files: readonly OpenedFile[];
    tensors: Iterable<StoredTensor>;
  }) {
    this.source = options.source;
    this.metadata = options.files[0]?.metadata ?? {};
    this.#files = new Map(options.files.map((file) => [file.file, file]));
    const ordered = [...options.tensors].sort((a, b) => (a.name < b.name ? -1 : 1));
    this.tensors = new Map(ordered.map((tensor) => [tensor.name, tensor]));
  }

  get names(): readonly string[] {
    return [...this.tensors.keys()];
  }

  /** Tensor name → shard file name; what {@link saveWeights} needs to write the same layout again. */
  get weightMap(): ReadonlyMap<string, string> {
    return new Map([...this.tensors.values()].map(({ name, shard }) => [name, shard]));
  }

  has(name: string): boolean {
    return this.tensors.has(name);
  }

  /** @throws SpatialError WEIGHT_MISSING, with the nearest name. */
  info(name: string): StoredTensor {
    const tensor = this.tensors.get(name);
    if (tensor) return tensor;
    const nearest = nearestName(this.tensors.keys(), name);
    throw new SpatialError({
      code: 'WEIGHT_MISSING',
      message: `${this.source}: no tensor "${name}" among ${this.tensors.size}`,
      hint: nearest
        ? `The nearest name is "${nearest}". Check that the checkpoint is of the expected family.`
        : 'Check that the checkpoint is of the expected family and complete.',
    });
  }

  /**
   * Bytes of a tensor in pieces of at most 16 MiB.
   * @throws SpatialError WEIGHT_MISSING | FILE_INVALID when the file changed since it was opened.
   */
  async *stream(name: string): AsyncGenerator<Uint8Array> {
    const tensor = this.info(name);
    for (let start = 0; start < tensor.byteLength; start += STREAM_BYTES)
      yield await this.#read(tensor, start, Math.min(STREAM_BYTES, tensor.byteLength - start));
  }

  /** Bytes of a tensor, little-endian, row-major. @throws as {@link stream}. */
  async readRaw(name: string): Promise<Uint8Array> {
    const tensor = this.info(name);
    return this.#read(tensor, 0, tensor.byteLength);
  }

  /** Values as float32: F32, F16 and BF16 exactly. @throws as {@link stream}. */
  async readFloat32(name: string): Promise<Float32Array> {
    return decodeFloat32(this.info(name).dtype, await this.readRaw(name));
  }

  /**
   * Values of F32, F16 or BF16 as float32 into memory that is there, without another copy.
   * @throws as {@link stream}, and DTYPE_UNSUPPORTED for other dtypes.
   */
  async readFloat32Into(name: string, target: Float32Array): Promise<void> {
    const { storedAs: dtype, file, byteOffset, byteLength } = this.mapped(name);
    const values = byteLength / bytesPerElement(dtype);
    if (values !== target.length)
      throw new SpatialError({
        code: 'SHAPE_MISMATCH',
        message: `${file}: ${name}: expected ${target.length} values, found ${values}`,
        hint: 'The file belongs to another model.',
      });
    const bytes = new Uint8Array(target.buffer, target.byteOffset, target.byteLength);
    await this.#fill(name, file, byteOffset, bytes.subarray(target.byteLength - byteLength));
    widenInPlace(dtype, target);
  }

  /** Integer values. @throws as {@link stream}, and DTYPE_UNSUPPORTED for other dtypes or values beyond int32. */
  async readInt32(name: string): Promise<Int32Array> {
    return decodeInt32(this.info(name).dtype, await this.readRaw(name), name);
  }

  /**
   * A tensor that stays in its file, to be mapped by the engine.
   * @throws SpatialError WEIGHT_MISSING | DTYPE_UNSUPPORTED for anything but F32, F16 and BF16.
   */
  mapped(name: string): MappedTensor {
    const { dtype, shape, file, byteOffset, byteLength } = this.info(name);
    if (!isMappable(dtype))
      throw new SpatialError({
        code: 'DTYPE_UNSUPPORTED',
        message: `${this.source}: tensor "${name}": expected F32, F16 or BF16, found ${dtype}`,
        hint: 'Convert the checkpoint to bfloat16, float16 or float32.',
      });
    return { kind: 'mapped', shape, storedAs: dtype, file, byteOffset, byteLength };
  }

  /** Every floating-point tensor as {@link mapped}; integer buffers (position ids and the like) are left out. */
  mappedAll(): Readonly<Record<string, MappedTensor>> {
    const names = [...this.tensors.values()].filter(({ dtype }) => isMappable(dtype));
    return Object.fromEntries(names.map(({ name }) => [name, this.mapped(name)]));
  }

  async #read(tensor: StoredTensor, start: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    await this.#fill(tensor.name, tensor.file, tensor.byteOffset + start, bytes);
    return bytes;
  }

  #fill(name: string, file: string, position: number, bytes: Uint8Array): Promise<void> {
    const opened = this.#files.get(file)!;
    return withFile(file, async (handle) => {
      const { size, mtimeMs, ino } = await handle.stat();
      const length = await readInto(handle, position, bytes);
      const isSame =
        size === opened.sizeBytes && mtimeMs === opened.modifiedMs && ino === opened.inode;
      if (isSame && length === bytes.byteLength) return;
      throw new SpatialError({
        code: 'FILE_INVALID',
        message: `${file}: the file changed after it was opened (tensor "${name}")`,
        hint: 'Open the checkpoint again.',
      });
    });
  }
}

const isMappable = (dtype: SafetensorsDType): dtype is 'F32' | 'F16' | 'BF16' =>
  dtype === 'F32' || dtype === 'F16' || dtype === 'BF16';

/**
 * Opens one safetensors file. Reads the header only.
 * @throws SpatialError FILE_MISSING | FILE_INVALID | DTYPE_UNSUPPORTED.
 */
export const openSafetensors = (file: string): Promise<SafetensorsReader> => openSingle(file, file);

const openSingle = async (file: string, source: string): Promise<SafetensorsReader> => {
  const opened = await openFile(file);
  const shard = path.basename(file);
  const tensors = [...opened.tensors].map(([name, record]) => ({
    ...record,
    name,
    shard,
    file: opened.file,
  }));
  return new SafetensorsReader({ source, files: [opened], tensors });
};

const takeTensor = (
  folder: string,
  name: string,
  shard: string,
  opened: OpenedFile,
): StoredTensor => {
  const record = opened.tensors.get(name);
  if (record) return { ...record, name, shard, file: opened.file };
  throw new SpatialError({
    code: 'WEIGHT_MISSING',
    message: `${path.join(folder, shard)}: no tensor "${name}", although ${INDEX_FILE} says so`,
    hint: 'The shards belong to different versions or one is incomplete: download the checkpoint again.',
  });
};

const openSharded = async (folder: string, indexFile: string): Promise<SafetensorsReader> => {
  const weightMap = await parseWeightMap(indexFile);
  const files = new Map<string, OpenedFile>();
  for (const shard of new Set(weightMap.values()))
    files.set(shard, await openFile(await resolveShard(folder, shard)));
  const tensors = [...weightMap].map(([name, shard]) =>
    takeTensor(folder, name, shard, files.get(shard)!),
  );
  return new SafetensorsReader({ source: folder, files: [...files.values()], tensors });
};

/**
 * Opens the weights of a Hugging Face checkpoint folder, in the order of transformers: `model.safetensors`, else
 * `model.safetensors.index.json` with its shards. Links that lie in the folder itself (the layout of Hugging Face's cache)
 * are resolved.
 * @throws SpatialError FILE_MISSING | FILE_INVALID | WEIGHT_MISSING | DTYPE_UNSUPPORTED.
 */
export const openWeights = async (folder: string): Promise<SafetensorsReader> => {
  const file = path.join(folder, SINGLE_FILE);
  if (await isFile(file)) return openSingle(file, folder);
  const indexFile = path.join(folder, INDEX_FILE);
  await resolveFile(
    indexFile,
    `A checkpoint folder holds ${SINGLE_FILE}, or ${INDEX_FILE} and its shards.`,
  );
  return openSharded(folder, indexFile);
};

const isFile = (file: string): Promise<boolean> =>
  resolveFile(file, '').then(
    () => true,
    () => false,
  );
