import {
  type MappedTensor,
  nearestName,
  openWeights,
  type SafetensorsReader,
  SpatialError,
  saveCheckpoint,
} from '@spatialsv/core';
import type { Qwen25VlConfig } from './qwen25vl-config.js';
import { DECODER_NAMES, isBuffer, publishedName, qwen25VlShapes } from './qwen25vl-names.js';

const EMBEDDING = `${DECODER_NAMES.model}.embed_tokens.weight`;
const SHOWN_NAMES = 5;

/** Weights of an opened folder under published names. */
export interface OpenedCheckpoint {
  readonly weights: Readonly<Record<string, MappedTensor>>;
  /** Whether the logits use the embedding table. */
  readonly tieHead: boolean;
  /** As BackboneV1.save. */
  save(folder: string, replaced: ReadonlyMap<string, Float32Array>): Promise<void>;
}

/**
 * Opens the weights of a folder, under published or in-memory names, and compares them with the configuration.
 * @throws SpatialError WEIGHT_MISSING, WEIGHT_UNEXPECTED or SHAPE_MISMATCH, naming tensor, folder and nearest name.
 */
export async function openCheckpoint(
  folder: string,
  config: Qwen25VlConfig,
): Promise<OpenedCheckpoint> {
  const reader = await openWeights(folder);
  const fileNames = namesInFile(reader);
  const head = await readHead(reader, fileNames, config.decoder.tieHead);
  const decoder = { ...config.decoder, tieHead: head !== 'separate' };
  const shapes = qwen25VlShapes({ ...config, decoder });
  const stored = new Map(
    [...fileNames].filter(([name]) => !(head === 'copy' && name === DECODER_NAMES.head)),
  );
  checkNames(folder, shapes, stored);
  const weights: Record<string, MappedTensor> = {};
  for (const [name, shape] of Object.entries(shapes)) {
    weights[name] = reader.mapped(stored.get(name)!);
    checkShape(folder, name, weights[name].shape, shape);
  }
  return {
    weights,
    tieHead: decoder.tieHead,
    save: (target, replaced) =>
      saveCheckpoint(reader, target, toFileNames(replaced, fileNames, head === 'copy')),
  };
}

/** Published name → name in the file, buffers left out. */
function namesInFile(reader: SafetensorsReader): Map<string, string> {
  const names = new Map<string, string>();
  for (const name of reader.names.filter((candidate) => !isBuffer(candidate))) {
    const published = publishedName(name);
    const other = names.get(published);
    if (other !== undefined) {
      throw new SpatialError({
        code: 'WEIGHT_UNEXPECTED',
        message: `${reader.source}: ${name} and ${other} are the same tensor under two names`,
        hint: 'Keep one of the two naming schemes in the checkpoint.',
      });
    }
    names.set(published, name);
  }
  return names;
}

/**
 * `tied`: no output matrix is stored. `copy`: the stored one repeats the embedding table. `separate`: it has its own
 * values, which win over a configuration that says tied.
 */
type Head = 'tied' | 'copy' | 'separate';

async function readHead(
  reader: SafetensorsReader,
  fileNames: ReadonlyMap<string, string>,
  tieHead: boolean,
): Promise<Head> {
  const head = fileNames.get(DECODER_NAMES.head);
  const embedding = fileNames.get(EMBEDDING);
  if (!tieHead) return 'separate';
  if (head === undefined || embedding === undefined) return 'tied';
  return (await isSameTensor(reader, head, embedding)) ? 'copy' : 'separate';
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

function checkNames(
  folder: string,
  shapes: Readonly<Record<string, readonly number[]>>,
  stored: ReadonlyMap<string, string>,
): void {
  const missing = Object.keys(shapes).filter((name) => !stored.has(name));
  const unexpected = [...stored.keys()].filter((name) => !Object.hasOwn(shapes, name));
  if (missing.length > 0) {
    const near = nearestName(unexpected.length > 0 ? unexpected : stored.keys(), missing[0]!);
    throw new SpatialError({
      code: 'WEIGHT_MISSING',
      message: `${folder}: expected the tensor ${list(missing)}, found none`,
      hint:
        near === undefined ? RESTORE : `The nearest tensor in the folder is ${near}. ${RESTORE}`,
    });
  }
  if (unexpected.length > 0) {
    throw new SpatialError({
      code: 'WEIGHT_UNEXPECTED',
      message: `${folder}: found the tensor ${list(unexpected)}, which config.json has no place for`,
      hint: `Check the layer counts in config.json. ${RESTORE}`,
    });
  }
}

const RESTORE = 'Weights and config.json must come from the same checkpoint.';

function list(names: readonly string[]): string {
  const shown = names.slice(0, SHOWN_NAMES).join(', ');
  return names.length > SHOWN_NAMES ? `${shown} and ${names.length - SHOWN_NAMES} more` : shown;
}

function checkShape(
  folder: string,
  name: string,
  found: readonly number[],
  expected: readonly number[],
): void {
  if (found.length === expected.length && found.every((size, i) => size === expected[i])) return;
  throw new SpatialError({
    code: 'SHAPE_MISMATCH',
    message: `${folder}: ${name}: expected (${expected.join(', ')}) by config.json, found (${found.join(', ')})`,
    hint: RESTORE,
  });
}

/** Replacements by the names of the file; a stored copy of the embedding table follows it. */
function toFileNames(
  replaced: ReadonlyMap<string, Float32Array>,
  fileNames: ReadonlyMap<string, string>,
  hasHeadCopy: boolean,
): ReadonlyMap<string, Float32Array> {
  const renamed = new Map([...replaced].map(([name, data]) => [fileNames.get(name) ?? name, data]));
  const embedding = replaced.get(EMBEDDING);
  if (hasHeadCopy && embedding !== undefined)
    renamed.set(fileNames.get(DECODER_NAMES.head)!, embedding);
  return renamed;
}
