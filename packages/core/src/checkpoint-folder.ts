import { copyFile, mkdir, readdir, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { SpatialError } from './errors.js';
import { listIfThere, readText, resolveFile } from './files.js';
import {
  type ForeignFolder,
  foreignError,
  namesIn,
  recogniseFile,
  recogniseFolder,
} from './foreign-folder.js';
import { hashFiles } from './hash-files.js';
import { isJsonObject, type JsonObject, parseJsonText } from './json.js';
import type { SafetensorsReader } from './safetensors/reader.js';
import { replaceWeights, saveWeights } from './safetensors/writer.js';

const CONTENT = 'config.json, tokenizer files, and model.safetensors or its shards with an index';

const SHOWN_NAMES = 8;

const describeFolder = async (folder: string): Promise<string> => {
  const found = await stat(folder).catch(() => undefined);
  if (!found) return 'nothing at this path';
  if (!found.isDirectory()) return 'a file';
  const names = await namesIn(folder);
  if (names.length === 0) return 'an empty folder';
  const rest = names.length - SHOWN_NAMES;
  return `${names.slice(0, SHOWN_NAMES).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
};

const isThere = (file: string): Promise<boolean> =>
  stat(file).then(
    () => true,
    () => false,
  );

/** A folder with a config.json is a checkpoint of its kind, whatever else it lacks. */
const foreignKind = async (folder: string): Promise<ForeignFolder | undefined> => {
  if (!(await isThere(folder)) || (await isThere(path.join(folder, 'config.json'))))
    return undefined;
  const isFolder = (await stat(folder)).isDirectory();
  return isFolder ? recogniseFolder(folder) : recogniseFile(folder);
};

const notACheckpoint = async (folder: string, missing: string): Promise<SpatialError> => {
  const foreign = await foreignKind(folder);
  if (foreign !== undefined)
    return foreignError(folder, `a checkpoint folder with ${missing}`, foreign);
  return new SpatialError({
    code: 'FILE_MISSING',
    message: `${folder}: expected a checkpoint folder with ${missing}, found ${await describeFolder(folder)}`,
    hint: `Name a folder in the Hugging Face layout: ${CONTENT}. A model name is not downloaded.`,
  });
};

/**
 * A JSON object file of a checkpoint folder.
 * @param name for example `preprocessor_config.json`.
 * @throws SpatialError FILE_MISSING, saying what the folder holds | FILE_INVALID.
 */
export const readCheckpointJson = async (folder: string, name: string): Promise<JsonObject> => {
  const file = path.join(folder, name);
  const real = await resolveFile(file, '').catch(async (error: unknown) => {
    const isMissing = SpatialError.isInstance(error) && error.code === 'FILE_MISSING';
    throw isMissing ? await notACheckpoint(folder, name) : error;
  });
  return parseObject(await readText(real), file);
};

const parseObject = (text: string, file: string): JsonObject => {
  const fail = (problem: string, cause?: unknown): SpatialError =>
    new SpatialError({
      code: 'FILE_INVALID',
      message: `${file}: expected a JSON object, found ${problem}`,
      hint: 'The file is damaged or was edited by hand: restore it from the published checkpoint.',
      cause,
    });
  let value: unknown;
  try {
    value = parseJsonText(text);
  } catch (error) {
    throw fail((error as Error).message, error);
  }
  if (isJsonObject(value)) return value;
  throw fail(value === null ? 'null' : Array.isArray(value) ? 'a list' : `a ${typeof value}`);
};

/**
 * `config.json` of a checkpoint folder, keys as they are published.
 * @throws SpatialError FILE_MISSING when the path is wrong, saying what was found there | FILE_INVALID.
 */
export const readCheckpointConfig = (folder: string): Promise<JsonObject> =>
  readCheckpointJson(folder, 'config.json');

const isWeightFile = (name: string): boolean =>
  /\.(safetensors|bin|pt|pth|gguf|onnx)$/.test(name) || name.endsWith('.index.json');

/** What makes a prompt of a conversation: configuration, tokenizer, chat template, preprocessing. */
const isPromptFile = (name: string): boolean =>
  /\.(json|jinja|txt|model|tiktoken)$/.test(name) && !isWeightFile(name) && !name.startsWith('.');

/**
 * SHA-256 of the files of a checkpoint folder, weights aside, that decide what a model is given for a conversation. Equal in
 * any folder.
 * @throws SpatialError FILE_MISSING | FILE_INVALID.
 */
export const hashPromptFiles = async (folder: string): Promise<string> => {
  const names = (await listIfThere(folder)).filter(isPromptFile).sort();
  return hashFiles(names.map((name) => ({ name, path: path.join(folder, name) })));
};

/**
 * SHA-256 of all files of a checkpoint folder that a model is opened from: those of {@link hashPromptFiles}, and weights in
 * safetensors with their index. Equal in any folder.
 * @param hash that of a file, for example of one that is known already.
 * @throws SpatialError FILE_MISSING | FILE_INVALID.
 */
export const hashModelFiles = async (
  folder: string,
  hash?: (path: string) => Promise<string>,
): Promise<string> => {
  const isRead = (name: string) =>
    isPromptFile(name) || /^[^.].*\.safetensors(\.index\.json)?$/.test(name);
  const names = (await listIfThere(folder)).filter(isRead).sort();
  const files = names.map((name) => ({ name, path: path.join(folder, name) }));
  return hashFiles([...files], hash);
};

/** Copies everything but weights: configuration, tokenizer, templates, remote-code modules. */
const copyOtherFiles = async (from: string, to: string): Promise<void> => {
  for (const name of await readdir(from)) {
    const file = path.join(from, name);
    const isCopied = !isWeightFile(name) && !name.startsWith('.') && (await stat(file)).isFile();
    if (isCopied) await copyFile(file, path.join(to, name));
  }
};

/**
 * Writes a checkpoint folder with the layout of the one that `reader` was opened from: same names, dtypes and shards,
 * same other files, some weights replaced.
 * @param folder made where it does not exist; may be the source folder itself.
 * @param replaced float32 values by tensor name, rounded to the stored dtype.
 * @throws SpatialError WEIGHT_MISSING | SHAPE_MISMATCH.
 */
export const saveCheckpoint = async (
  reader: SafetensorsReader,
  folder: string,
  replaced: ReadonlyMap<string, Float32Array>,
): Promise<void> => {
  const tensors = replaceWeights(reader, replaced);
  await mkdir(folder, { recursive: true });
  const isSame = (await realpath(folder)) === (await realpath(reader.source));
  if (!isSame) await copyOtherFiles(reader.source, folder);
  await saveWeights(folder, tensors, reader.weightMap);
};
