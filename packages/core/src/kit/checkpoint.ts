/** Opening the weights of a model: names in any layout, shapes, tying, and what a file may hold beside them. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { MappedTensor } from '@spatialsv/engine';
import { saveCheckpoint } from '../checkpoint-folder.js';
import { SpatialError } from '../errors.js';
import { type Finding, requireNoErrors } from '../finding.js';
import {
  foreignError,
  recogniseFile,
  recogniseFolder,
  recogniseQuantisation,
} from '../foreign-folder.js';
import { hashWeights } from '../hash-files.js';
import type { Shapes } from '../nn/index.js';
import { openWeights, type SafetensorsReader } from '../safetensors/index.js';
import { compareTensors, passedOverIn } from './checkpoint-findings.js';

/** What a checkpoint has to hold, by published names. */
export interface CheckpointContent {
  /** Every tensor that the model reads. */
  readonly shapes: Shapes;
  /**
   * Published name → name in the file, for files whose names are not the published ones; {@link renamed} makes it of a
   * rule for one name. Tensors left out of it are left unread.
   */
  readonly names?: (fileNames: readonly string[], folder: string) => ReadonlyMap<string, string>;
  /** Published names that a file may hold and the model leaves unread. */
  readonly isUnread?: (name: string) => boolean;
  /** An output matrix that may be the embedding table. */
  readonly tied?: TiedTensor;
  /** Refuse tensors that the model has no place for, instead of saying so in `findings`. */
  readonly refuseUnknown?: boolean;
}

export interface TiedTensor {
  /** Published name of the output matrix; `shapes` lists it. */
  readonly name: string;
  /** Published name of the table that it may be. */
  readonly source: string;
  /** What the configuration says. A stored matrix with values of its own wins over it. */
  readonly isTied: boolean;
}

/** Weights of an opened folder. */
export interface OpenedCheckpoint {
  /** By published name; a tied output matrix is left out. */
  readonly weights: Readonly<Record<string, MappedTensor>>;
  /** Whether the output matrix is the source that it may be tied to. */
  readonly isTied: boolean;
  /** What is doubtful and does not keep the weights from being used: files passed over, tensors that the model has no place for. */
  readonly findings: readonly Finding[];
  /** SHA-256 of what the model reads; reads all of it. */
  hash(): Promise<string>;
  /**
   * Writes a folder in the layout of the opened one: its names, dtypes, shards and other files.
   * @param replaced float32 values by published name; a stored copy of a tied source follows it.
   * @throws SpatialError WEIGHT_MISSING | SHAPE_MISMATCH.
   */
  save(folder: string, replaced: ReadonlyMap<string, Float32Array>): Promise<void>;
}

/** Names by a rule for one of them. @throws SpatialError WEIGHT_UNEXPECTED where two names become one. */
export const renamed =
  (publishedName: (name: string) => string) =>
  (fileNames: readonly string[], folder: string): ReadonlyMap<string, string> => {
    const names = new Map<string, string>();
    for (const name of fileNames) {
      const published = publishedName(name);
      const other = names.get(published);
      if (other !== undefined) throw twoNames(folder, name, other);
      names.set(published, name);
    }
    return names;
  };

/** A name with the prefix of the first pair that it begins with replaced; other names stay as they are. */
export function replacePrefix(
  name: string,
  pairs: readonly (readonly [from: string, to: string])[],
): string {
  const pair = pairs.find(([from]) => name.startsWith(from));
  return pair === undefined ? name : pair[1] + name.slice(pair[0].length);
}

const twoNames = (folder: string, name: string, other: string): SpatialError =>
  new SpatialError({
    code: 'WEIGHT_UNEXPECTED',
    message: `${folder}: ${name} and ${other} are the same tensor under two names`,
    hint: 'Keep one of the two naming schemes in the checkpoint.',
  });

/** Tables that some files store although they follow from the configuration. */
const isBuffer = (name: string): boolean =>
  /(^|\.)(inv_freq|original_inv_freq|position_ids)$/.test(name);

/**
 * Opens the weights of a checkpoint and compares them with what the model reads. Reads headers only, but for an output
 * matrix that is stored although the configuration says that it is tied.
 * @param folder with `model.safetensors` or its shards.
 * @throws SpatialError FILE_MISSING, saying what the weights are where they are of another kind | FILE_INVALID; WEIGHT_MISSING,
 *   WEIGHT_UNEXPECTED, SHAPE_MISMATCH or DTYPE_UNSUPPORTED, naming tensor, folder and nearest name: the first of what
 *   `findingsOf` gives.
 */
export async function openCheckpoint(
  folder: string,
  content: CheckpointContent,
): Promise<OpenedCheckpoint> {
  await refuseAdapter(folder);
  const reader = await openWeights(folder).catch(async (error: unknown) => {
    throw await explained(folder, error);
  });
  const inFile = reader.names.filter((name) => !isBuffer(name));
  const names = (content.names ?? renamed((name) => name))(inFile, folder);
  const tie = await tieOf(reader, names, content.tied);
  const shapes = tie === 'own' ? content.shapes : without(content.tied!.name, content.shapes);
  const isUnread = (name: string) =>
    (content.isUnread?.(name) ?? false) || (tie === 'copy' && name === content.tied!.name);
  const findings = await compareTensors({ reader, names, shapes, isUnread });
  const passedOver = await passedOverIn(reader);
  requireNoErrors([...(content.refuseUnknown ? findings.map(asError) : findings), ...passedOver]);
  const mapped = Object.keys(shapes).map(
    (name) => [name, reader.mapped(names.get(name)!)] as const,
  );
  const weights = Object.fromEntries(mapped);
  const copy = tie === 'copy' ? content.tied : undefined;
  return {
    weights,
    isTied: tie !== 'own',
    findings: [...findings, ...passedOver],
    hash: () => hashWeights(weights),
    save: (target, replaced) => saveCheckpoint(reader, target, inFileNames(replaced, names, copy)),
  };
}

const asError = (finding: Finding): Finding => ({ ...finding, severity: 'error' });

/** Replacements by the names of the file; a stored copy of a tied source follows it. */
function inFileNames(
  replaced: ReadonlyMap<string, Float32Array>,
  names: ReadonlyMap<string, string>,
  copy: TiedTensor | undefined,
): ReadonlyMap<string, Float32Array> {
  const inFile = new Map([...replaced].map(([name, data]) => [names.get(name) ?? name, data]));
  const source = copy && replaced.get(copy.source);
  if (source) inFile.set(names.get(copy.name)!, source);
  return inFile;
}

const without = (name: string, shapes: Shapes): Shapes =>
  Object.fromEntries(Object.entries(shapes).filter(([other]) => other !== name));

// ---------------------------------------------------------------------------------------------- folder

/**
 * Folder of a checkpoint that is named by itself or by its weight file.
 * @throws SpatialError FILE_MISSING for a weight file that is not a safetensors file.
 */
export async function checkpointFolder(location: string): Promise<string> {
  if (!(await isFile(location))) return location;
  if (location.endsWith('.safetensors')) return path.dirname(location);
  const found = recogniseFile(location) ?? {
    what: 'another file',
    hint: 'Name a checkpoint folder.',
  };
  throw foreignError(location, WEIGHTS, found);
}

const isFile = (file: string): Promise<boolean> =>
  stat(file).then(
    (found) => found.isFile(),
    () => false,
  );

const WEIGHTS = 'model.safetensors or its shards';

/** Says what the weights are where they are there, but of another kind. */
async function explained(folder: string, error: unknown): Promise<unknown> {
  const isMissing = SpatialError.isInstance(error) && error.code === 'FILE_MISSING';
  const isOtherType = SpatialError.isInstance(error) && error.code === 'DTYPE_UNSUPPORTED';
  const quantised = isOtherType || isMissing ? await recogniseQuantisation(folder) : undefined;
  if (isOtherType && quantised)
    return foreignError(folder, PLAIN_WEIGHTS, quantised, 'DTYPE_UNSUPPORTED');
  const foreign = quantised ?? (isMissing ? await recogniseFolder(folder) : undefined);
  return foreign === undefined ? error : foreignError(folder, WEIGHTS, foreign);
}

const PLAIN_WEIGHTS = 'weights in bfloat16, float16 or float32';

/** Beside a whole model, `transformers` would read the adapter's base and apply the adapter; the weights here are neither. */
async function refuseAdapter(folder: string): Promise<void> {
  if (!(await isFile(path.join(folder, 'adapter_config.json')))) return;
  const foreign = await recogniseFolder(folder);
  if (foreign !== undefined) throw foreignError(folder, 'a model', foreign);
}

// ---------------------------------------------------------------------------------------------- tying

/** `none`: no output matrix is stored. `copy`: the stored one repeats its source. `own`: it has its own values. */
type Tie = 'none' | 'copy' | 'own';

async function tieOf(
  reader: SafetensorsReader,
  names: ReadonlyMap<string, string>,
  tied: TiedTensor | undefined,
): Promise<Tie> {
  if (!tied?.isTied) return 'own';
  const [name, source] = [names.get(tied.name), names.get(tied.source)];
  if (name === undefined || source === undefined) return 'none';
  return (await isSameTensor(reader, name, source)) ? 'copy' : 'own';
}

async function isSameTensor(reader: SafetensorsReader, a: string, b: string): Promise<boolean> {
  const [first, second] = [reader.info(a), reader.info(b)];
  if (first.dtype !== second.dtype || first.byteLength !== second.byteLength) return false;
  const other = reader.stream(b);
  for await (const chunk of reader.stream(a)) {
    const next = await other.next();
    if (next.done || Buffer.compare(chunk, next.value) !== 0) return false;
  }
  return true;
}
