import { statSync } from 'node:fs';
import { EngineError } from '../errors.js';
import {
  bytesPerElement,
  convert,
  DeviceValue,
  type ExecutionProvider,
  FileMapping,
  type FileRange,
  uploadValue,
} from '../executor/index.js';
import { boundAs, placedAs, type Rows, rowsOf, type WeightType } from '../graph/graph.js';
import { allocateHost, type ElementType, STORED_TYPE } from '../onnx/element-type.js';
import { type MappedTensor, sizeOf } from '../specs.js';

/** One mapping and one copy per device of what lies in it, shared by all users in this process. */
interface OpenFile {
  readonly identity: string;
  readonly mapping: FileMapping;
  readonly values: Map<string, Promise<DeviceValue>>;
  /** Float32 copies on the host, which go with their last user, not with the file. */
  readonly copies: Map<string, Float32Copy>;
  users: number;
}

interface Float32Copy {
  readonly value: Promise<DeviceValue>;
  /** Rows of it, by first and count. */
  readonly views: Map<string, DeviceValue>;
  users: number;
}

const openFiles = new Map<string, OpenFile>();

/** Mappings of weight files that this process has at present. */
export const mappedFileCount = (): number => openFiles.size;

/**
 * A user of tensors in files: gives their values on one device and holds the files until it is disposed. The last user of
 * a file unmaps it.
 */
export class StoredValues {
  readonly #device: ExecutionProvider;
  readonly #narrowAs: WeightType | undefined;
  /** By path, as of the first use: a file that is replaced later is another file. */
  readonly #files = new Map<string, OpenFile>();
  /** Keys of the copies that this user holds. */
  readonly #copies = new Map<OpenFile, Set<string>>();

  /** @param narrowAs type in which weights of 16 bits come to a device that lacks theirs. */
  constructor(device: ExecutionProvider, narrowAs?: WeightType) {
    this.#device = device;
    this.#narrowAs = narrowAs;
  }

  /**
   * The tensor, or some rows of it, in the memory of the device; float32 where that is asked for, another type where the
   * device lacks that of the file. It belongs to the file.
   * @throws EngineError FILE_INVALID when the file cannot be read or ends too early.
   */
  async value(tensor: MappedTensor, rows?: Rows): Promise<DeviceValue> {
    const file = this.#open(tensor.file);
    const isCopied = boundAs(tensor) !== tensor.storedAs;
    if (isCopied && this.#device === 'cpu') return this.#copy(file, tensor, rows);
    const { part, type, key } = this.#placeOf(tensor, rows);
    const known = file.values.get(key) ?? place(file.mapping, part, this.#device, type);
    file.values.set(key, known);
    known.catch(() => file.values.delete(key));
    return known;
  }

  /** Whether {@link value} finds it on the device. */
  has(tensor: MappedTensor, rows?: Rows): boolean {
    const file = this.#files.get(tensor.file);
    return file?.values.has(this.#placeOf(tensor, rows).key) ?? false;
  }

  #placeOf(tensor: MappedTensor, rows?: Rows) {
    const part = rowsOf(tensor, rows);
    const type = placedAs(part, this.#narrowAs);
    return { part, type, key: [this.#device, type, part.byteOffset, ...part.shape].join() };
  }

  async #copy(file: OpenFile, tensor: MappedTensor, rows?: Rows): Promise<DeviceValue> {
    const key = [tensor.byteOffset, ...tensor.shape].join();
    const copy = file.copies.get(key) ?? newCopy(file.mapping, tensor);
    file.copies.set(key, copy);
    copy.value.catch(() => file.copies.delete(key));
    this.#take(file, key, copy);
    const whole = await copy.value;
    if (rows === undefined) return whole;
    const place = `${rows.first},${rows.count}`;
    const view = copy.views.get(place) ?? viewOf(whole, rows);
    copy.views.set(place, view);
    return view;
  }

  /** Counts this user once. */
  #take(file: OpenFile, key: string, copy: Float32Copy): void {
    const taken = this.#copies.get(file) ?? new Set();
    this.#copies.set(file, taken);
    if (taken.has(key)) return;
    taken.add(key);
    copy.users += 1;
  }

  /** Takes the pages of tensors out of resident memory; they come back when they are read. */
  evict(tensors: Iterable<MappedTensor>): void {
    const ranges = new Map<FileMapping, MappedTensor[]>();
    for (const tensor of tensors) {
      const mapping = this.#files.get(tensor.file)?.mapping;
      if (mapping === undefined) continue;
      const known = ranges.get(mapping);
      if (known === undefined) ranges.set(mapping, [tensor]);
      else known.push(tensor);
    }
    for (const [mapping, parts] of ranges) for (const part of joined(parts)) mapping.evict(part);
  }

  /** No run that uses the values may be under way. */
  async dispose(): Promise<void> {
    const files = [...this.#files.values()];
    this.#files.clear();
    const copies = [...this.#copies];
    this.#copies.clear();
    await Promise.all(copies.map(([file, keys]) => giveBack(file, keys)));
    await Promise.all(files.map(leave));
  }

  #open(path: string): OpenFile {
    const known = this.#files.get(path);
    if (known !== undefined) return known;
    const file = openFile(path);
    file.users += 1;
    this.#files.set(path, file);
    return file;
  }
}

function openFile(path: string): OpenFile {
  return explained(() => {
    const { dev, ino, size, mtimeMs } = statSync(path);
    const identity = [dev, ino, size, mtimeMs].join();
    const known = openFiles.get(identity);
    if (known !== undefined) return known;
    const file = {
      identity,
      mapping: new FileMapping(path),
      values: new Map(),
      copies: new Map(),
      users: 0,
    };
    openFiles.set(identity, file);
    return file;
  });
}

async function leave(file: OpenFile): Promise<void> {
  file.users -= 1;
  if (file.users > 0) return;
  openFiles.delete(file.identity);
  await close(file);
}

async function giveBack({ copies }: OpenFile, keys: ReadonlySet<string>): Promise<void> {
  for (const key of keys) {
    const copy = copies.get(key);
    if (copy === undefined) continue;
    copy.users -= 1;
    if (copy.users > 0) continue;
    copies.delete(key);
    for (const view of copy.views.values()) view.dispose();
    await copy.value.then(
      (value) => value.dispose(),
      () => undefined,
    );
  }
}

function newCopy(mapping: FileMapping, tensor: MappedTensor): Float32Copy {
  return { value: copied(mapping, tensor), views: new Map(), users: 0 };
}

async function copied(mapping: FileMapping, tensor: MappedTensor): Promise<DeviceValue> {
  const stored = explained(() => onHost(mapping, tensor));
  try {
    return await converted(stored, 'float32');
  } finally {
    stored.dispose();
    mapping.evict(tensor);
  }
}

function viewOf(whole: DeviceValue, { first, count }: Rows): DeviceValue {
  const inner = whole.shape.slice(1);
  const row = sizeOf(inner);
  const data = whole.host!.subarray(first * row, (first + count) * row);
  return DeviceValue.fromHost(data, 'float32', [count, ...inner]);
}

/** Values go before the memory that they describe. */
async function close({ mapping, values }: OpenFile): Promise<void> {
  const settled = await Promise.allSettled(values.values());
  for (const each of settled) if (each.status === 'fulfilled') each.value.dispose();
  mapping.close();
}

async function place(
  mapping: FileMapping,
  tensor: MappedTensor,
  device: ExecutionProvider,
  type: ElementType,
): Promise<DeviceValue> {
  const stored = explained(() => onHost(mapping, tensor));
  if (device === 'cpu') return stored;
  try {
    return await uploaded(stored, device, type);
  } finally {
    stored.dispose();
    mapping.evict(tensor);
  }
}

function onHost(mapping: FileMapping, tensor: MappedTensor): DeviceValue {
  const type = STORED_TYPE[tensor.storedAs];
  const bytes = mapping.bytes(tensor, bytesPerElement(type));
  return typeof bytes === 'bigint'
    ? DeviceValue.atAddress(bytes, type, tensor.shape)
    : DeviceValue.fromHost(bytes, type, tensor.shape);
}

async function uploaded(
  stored: DeviceValue,
  device: ExecutionProvider,
  type: ElementType,
): Promise<DeviceValue> {
  if (stored.dtype === type) return uploadValue(stored, device);
  const copy = await converted(stored, type);
  try {
    return await uploadValue(copy, device);
  } finally {
    copy.dispose();
  }
}

/** A copy of a value on the host in another type, in memory of its own. */
async function converted(stored: DeviceValue, type: ElementType): Promise<DeviceValue> {
  const data = allocateHost(type, sizeOf(stored.shape));
  const copy = DeviceValue.fromHost(data, type, stored.shape);
  await convert(stored, copy);
  return copy;
}

/** Weights lie one after the other: few wide ranges instead of many. */
function joined(tensors: readonly FileRange[]): readonly FileRange[] {
  const result: { byteOffset: number; byteLength: number }[] = [];
  for (const { byteOffset, byteLength } of tensors.toSorted(
    (a, b) => a.byteOffset - b.byteOffset,
  )) {
    const last = result.at(-1);
    const end = last === undefined ? -1 : last.byteOffset + last.byteLength;
    if (last === undefined || byteOffset > end) result.push({ byteOffset, byteLength });
    else last.byteLength = Math.max(end, byteOffset + byteLength) - last.byteOffset;
  }
  return result;
}

/** Failures of the file as errors of its user. */
function explained<Result>(body: () => Result): Result {
  try {
    return body();
  } catch (error) {
    if (error instanceof EngineError) throw error;
    throw new EngineError({
      code: 'FILE_INVALID',
      message: (error as Error).message,
      hint: 'Open the checkpoint again: the file was moved or replaced.',
      cause: error,
    });
  }
}
