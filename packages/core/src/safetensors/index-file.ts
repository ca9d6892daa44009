import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { SpatialError } from '../errors.js';
import { readText, resolveFile } from '../files.js';
import { findDuplicateKey, isJsonObject, parseJsonText } from '../json.js';

export const INDEX_FILE = 'model.safetensors.index.json';
export const SINGLE_FILE = 'model.safetensors';

/** A hundred bytes for each of 300,000 tensors. */
const MAX_INDEX_BYTES = 1 << 25;

const invalidIndex = (file: string, problem: string, cause?: unknown): SpatialError =>
  new SpatialError({
    code: 'FILE_INVALID',
    message: `${file}: ${problem}`,
    hint: 'The index must be JSON with a "weight_map" from tensor names to file names of the same folder.',
    cause,
  });

const parseJson = async (file: string): Promise<unknown> => {
  try {
    const text = await readText(file, MAX_INDEX_BYTES);
    const value = parseJsonText(text);
    const duplicate = findDuplicateKey(text);
    if (duplicate === undefined) return value;
    throw invalidIndex(file, `the index names ${JSON.stringify(duplicate)} twice`);
  } catch (error) {
    if (SpatialError.isInstance(error)) throw error;
    throw invalidIndex(file, `expected JSON, found ${(error as Error).message}`, error);
  }
};

/**
 * Tensor name → shard name of a sharded checkpoint.
 * @throws SpatialError FILE_INVALID.
 */
export const parseWeightMap = async (file: string): Promise<ReadonlyMap<string, string>> => {
  const json = await parseJson(file);
  const weightMap = isJsonObject(json) ? json['weight_map'] : undefined;
  if (!isJsonObject(weightMap)) throw invalidIndex(file, 'no "weight_map" object');
  const entries = Object.entries(weightMap);
  for (const [name, shard] of entries)
    if (typeof shard !== 'string')
      throw invalidIndex(file, `the shard of ${JSON.stringify(name)} is not a file name`);
  if (entries.length === 0) throw invalidIndex(file, 'the "weight_map" is empty');
  return new Map(entries as [string, string][]);
};

const isPlainRelative = (shard: string): boolean => {
  const parts = shard.split('/');
  return !/[\\:\0]/.test(shard) && parts.every((part) => !['', '.', '..'].includes(part));
};

const escapes = (folder: string, shard: string): SpatialError =>
  new SpatialError({
    code: 'FILE_INVALID',
    message: `${path.join(folder, INDEX_FILE)}: shard ${JSON.stringify(shard)} leads out of the folder`,
    hint: 'Shard names must be file names inside the checkpoint folder. Do not use this checkpoint if you did not make it.',
  });

/**
 * Path of a shard that an index names. The index is untrusted text: a name may not leave the folder, neither by its
 * spelling nor through a linked subfolder. A link that lies in the folder itself was put there by the folder's owner
 * (Hugging Face's cache links every file to ../../blobs) and is followed.
 * @throws SpatialError FILE_INVALID | FILE_MISSING.
 */
export const resolveShard = async (folder: string, shard: string): Promise<string> => {
  if (!isPlainRelative(shard)) throw escapes(folder, shard);
  const file = path.join(folder, shard);
  const real = await resolveFile(
    file,
    `The index ${INDEX_FILE} asks for this shard: download it again.`,
  );
  const home = await realpath(folder);
  const isDirect = !shard.includes('/');
  if (!isDirect && !real.startsWith(home + path.sep)) throw escapes(folder, shard);
  return file;
};
