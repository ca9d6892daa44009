import { SpatialError } from '../errors.js';
import { findDuplicateKey, isJsonObject, type JsonObject, parseJsonText } from '../json.js';
import {
  byteLengthOf,
  isSafetensorsDType,
  SAFETENSORS_DTYPES,
  type SafetensorsDType,
} from './dtypes.js';

/** Longest header that is read: a hundred bytes for each of 160,000 tensors, which take seconds to check. */
const MAX_HEADER_BYTES = 1 << 24;

/** Where one tensor lies in its file. */
export interface TensorRecord {
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
  /** From the start of the file. */
  readonly byteOffset: number;
  readonly byteLength: number;
}

export interface SafetensorsHeader {
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, TensorRecord>;
}

/** Error about the content of a weights file. */
export const invalidFile = (file: string, problem: string, cause?: unknown): SpatialError =>
  new SpatialError({
    code: 'FILE_INVALID',
    message: `${file}: ${problem}`,
    hint: 'The file is damaged, incomplete or not a safetensors file: download or write it again.',
    cause,
  });

/** What stands where the weights of a download should: the first bytes of files that are taken for weights. */
const TEXTS: readonly (readonly [start: string, what: string, hint: string])[] = [
  [
    'version ',
    'a pointer of Git LFS',
    'The weights themselves were not downloaded: run `git lfs pull` in the folder.',
  ],
  ['<!DOCTYP', 'a web page', 'The download brought an error page: download the file again.'],
  ['<!doctyp', 'a web page', 'The download brought an error page: download the file again.'],
  ['<html', 'a web page', 'The download brought an error page: download the file again.'],
  ['PK\u0003\u0004', 'a ZIP archive or pickled PyTorch weights', 'Take a *.safetensors file.'],
  ['GGUF', 'GGUF weights', 'Take the *.safetensors files that they were made from.'],
];

const refuseText = (prefix: Uint8Array, file: string): void => {
  const start = Buffer.from(prefix.subarray(0, 8)).toString('latin1');
  const found = TEXTS.find(([text]) => start.startsWith(text));
  if (found === undefined) return;
  const message = `${file}: expected a safetensors file, found ${found[1]}`;
  throw new SpatialError({ code: 'FILE_INVALID', message, hint: found[2] });
};

/**
 * Length of the JSON header.
 * @param prefix first 8 bytes of the file.
 * @throws SpatialError FILE_INVALID when the length cannot be right.
 */
export const parseHeaderLength = (prefix: Uint8Array, fileBytes: number, file: string): number => {
  if (prefix.byteLength < 8)
    throw invalidFile(file, `expected at least 8 bytes, found ${fileBytes}`);
  refuseText(prefix, file);
  const length = new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES))
    throw invalidFile(file, `header of ${length} bytes, expected at most ${MAX_HEADER_BYTES}`);
  if (8 + Number(length) > fileBytes)
    throw invalidFile(file, `header of ${length} bytes in a file of ${fileBytes} bytes`);
  return Number(length);
};

const parseJson = (bytes: Uint8Array, file: string): unknown => {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    const value = parseJsonText(text);
    const duplicate = findDuplicateKey(text);
    if (duplicate === undefined) return value;
    throw invalidFile(file, `the header names ${JSON.stringify(duplicate)} twice`);
  } catch (error) {
    if (SpatialError.isInstance(error)) throw error;
    throw invalidFile(file, `the header is not UTF-8 JSON (${(error as Error).message})`, error);
  }
};

const parseMetadata = (value: unknown, file: string): Readonly<Record<string, string>> => {
  if (value === undefined) return {};
  if (!isJsonObject(value) || Object.values(value).some((item) => typeof item !== 'string'))
    throw invalidFile(file, '__metadata__ is not a record of strings');
  return value as Record<string, string>;
};

const isIndex = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0;

const parseShape = (value: unknown, where: string, file: string): readonly number[] => {
  if (Array.isArray(value) && value.every(isIndex)) return value;
  throw invalidFile(file, `${where}: shape is not a list of non-negative integers`);
};

const parseDType = (value: unknown, where: string, file: string): SafetensorsDType => {
  if (isSafetensorsDType(value)) return value;
  if (typeof value !== 'string') throw invalidFile(file, `${where}: dtype is not a string`);
  throw new SpatialError({
    code: 'DTYPE_UNSUPPORTED',
    message: `${file}: ${where}: expected one of ${SAFETENSORS_DTYPES.join(', ')}, found "${value}"`,
    hint: 'Convert the checkpoint to bfloat16, float16 or float32.',
  });
};

const parseRange = (value: unknown, dataBytes: number, where: string, file: string) => {
  if (!Array.isArray(value) || value.length !== 2 || !value.every(isIndex))
    throw invalidFile(file, `${where}: data_offsets is not a pair of non-negative integers`);
  const [begin, end] = value as [number, number];
  if (begin > end || end > dataBytes)
    throw invalidFile(file, `${where}: bytes ${begin}..${end} of ${dataBytes} data bytes`);
  return { begin, end };
};

const parseRecord = (
  name: string,
  value: unknown,
  dataStart: number,
  dataBytes: number,
  file: string,
): TensorRecord => {
  const where = `tensor ${JSON.stringify(name)}`;
  if (!isJsonObject(value)) throw invalidFile(file, `${where} is not described by an object`);
  const dtype = parseDType(value['dtype'], where, file);
  const shape = parseShape(value['shape'], where, file);
  const { begin, end } = parseRange(value['data_offsets'], dataBytes, where, file);
  const expected = byteLengthOf(dtype, shape);
  if (expected !== end - begin)
    throw invalidFile(
      file,
      `${where}: ${dtype} (${shape.join(', ')}) needs ${expected} bytes, found ${end - begin}`,
    );
  return { dtype, shape, byteOffset: dataStart + begin, byteLength: expected };
};

/** Tensors must tile the data section: no gap could hide bytes, no two could share them. */
const checkTiling = (
  tensors: ReadonlyMap<string, TensorRecord>,
  dataStart: number,
  fileBytes: number,
  file: string,
): void => {
  const ordered = [...tensors].sort(
    ([, a], [, b]) => a.byteOffset - b.byteOffset || a.byteLength - b.byteLength,
  );
  let position = dataStart;
  for (const [name, record] of ordered) {
    if (record.byteOffset !== position) {
      const problem = record.byteOffset < position ? 'overlaps another tensor' : 'follows a gap';
      throw invalidFile(file, `tensor ${JSON.stringify(name)} ${problem} at byte ${position}`);
    }
    position += record.byteLength;
  }
  if (position !== fileBytes)
    throw invalidFile(file, `the tensors end at byte ${position}, the file at ${fileBytes}`);
};

/**
 * Checks and parses a safetensors header.
 * @param bytes the JSON header, without the 8 bytes of its length.
 * @param fileBytes size of the whole file.
 * @param file path for messages.
 * @throws SpatialError FILE_INVALID | DTYPE_UNSUPPORTED.
 * Source: safetensors format, https://github.com/huggingface/safetensors#format.
 */
export const parseHeader = (
  bytes: Uint8Array,
  fileBytes: number,
  file: string,
): SafetensorsHeader => {
  const json = parseJson(bytes, file);
  if (!isJsonObject(json)) throw invalidFile(file, 'the header is not a JSON object');
  const { __metadata__, ...entries } = json as JsonObject & { __metadata__?: unknown };
  const dataStart = 8 + bytes.byteLength;
  const tensors = new Map(
    Object.entries(entries).map(([name, value]) => [
      name,
      parseRecord(name, value, dataStart, fileBytes - dataStart, file),
    ]),
  );
  checkTiling(tensors, dataStart, fileBytes, file);
  return { metadata: parseMetadata(__metadata__, file), tensors };
};
