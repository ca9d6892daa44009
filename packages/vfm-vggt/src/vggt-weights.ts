import { stat } from 'node:fs/promises';
import path from 'node:path';
import {
  type MappedTensor,
  nearestName,
  openWeights,
  type SafetensorsReader,
  SpatialError,
} from '@spatialsv/core';
import { readVggtConfig, type VggtConfig } from './vggt-config.js';
import { isIgnoredTensor, vggtTensorShapes } from './vggt-names.js';

/** An opened checkpoint folder; every tensor is there, has its shape, and stays in its file. */
export interface VggtWeights {
  readonly folder: string;
  readonly config: VggtConfig;
  /** By published name, without the track head. */
  readonly tensors: Readonly<Record<string, MappedTensor>>;
}

const SINGLE_FILE = 'model.safetensors';
const PICKLED_FILE = 'model.pt';

/**
 * Opens a checkpoint.
 * @param location folder with config.json and model.safetensors (or its shards), or the path of that file.
 * @throws SpatialError FILE_MISSING | FILE_INVALID | CONFIG_INVALID; WEIGHT_MISSING, SHAPE_MISMATCH or WEIGHT_UNEXPECTED
 *   naming the first tensor that is not as the configuration says.
 */
export async function openVggtWeights(location: string): Promise<VggtWeights> {
  const folder = await folderOf(location);
  const config = await readVggtConfig(folder);
  const reader = await openWeights(folder).catch(async (error: unknown) => {
    throw (await exists(path.join(folder, PICKLED_FILE))) ? pickled(folder) : error;
  });
  const shapes = vggtTensorShapes(config);
  requireTensors(reader, shapes);
  requireNothingElse(reader, shapes, config);
  const tensors = Object.fromEntries([...shapes.keys()].map((name) => [name, reader.mapped(name)]));
  return { folder, config, tensors };
}

const exists = (file: string): Promise<boolean> =>
  stat(file).then(
    (found) => found.isFile(),
    () => false,
  );

async function folderOf(location: string): Promise<string> {
  if (!(await exists(location))) return location;
  const folder = path.dirname(location);
  if (location.endsWith('.safetensors')) return folder;
  throw pickled(folder);
}

const pickled = (folder: string): SpatialError =>
  new SpatialError({
    code: 'FILE_MISSING',
    message: `${folder}: expected ${SINGLE_FILE}; PyTorch's own files (${PICKLED_FILE}) are not read`,
    hint: `Download ${SINGLE_FILE} and config.json, which are published beside ${PICKLED_FILE}.`,
  });

function requireTensors(
  reader: SafetensorsReader,
  shapes: ReadonlyMap<string, readonly number[]>,
): void {
  for (const [name, expected] of shapes) {
    if (!reader.has(name)) throw missing(reader, name, shapes);
    const found = reader.info(name).shape;
    if (found.join() !== expected.join()) throw misshapen(reader, name, expected, found);
  }
}

function missing(
  reader: SafetensorsReader,
  name: string,
  shapes: ReadonlyMap<string, unknown>,
): SpatialError {
  const unknown = reader.names.filter((candidate) => !shapes.has(candidate));
  const near = nearestName(unknown, name) ?? nearestName(reader.names, name);
  return new SpatialError({
    code: 'WEIGHT_MISSING',
    message: `${reader.source}: no tensor "${name}" among ${reader.tensors.size}`,
    hint: `${near === undefined ? '' : `The nearest name is "${near}". `}Check that the file is whole and that its own config.json lies beside it.`,
  });
}

const misshapen = (
  reader: SafetensorsReader,
  name: string,
  expected: readonly number[],
  found: readonly number[],
): SpatialError =>
  new SpatialError({
    code: 'SHAPE_MISMATCH',
    message: `${reader.source}: tensor "${name}": expected (${expected.join(', ')}), found (${found.join(', ')})`,
    hint: 'The sizes of config.json are not those of the weights: take both from the same place.',
  });

function requireNothingElse(
  reader: SafetensorsReader,
  shapes: ReadonlyMap<string, unknown>,
  config: VggtConfig,
): void {
  const extra = reader.names.find((name) => !shapes.has(name) && !isIgnoredTensor(name, config));
  if (extra === undefined) return;
  const near = nearestName(shapes.keys(), extra);
  throw new SpatialError({
    code: 'WEIGHT_UNEXPECTED',
    message: `${reader.source}: tensor "${extra}" belongs to no part of VGGT`,
    hint: `${near === undefined ? '' : `The nearest name is "${near}". `}Another variant of the model is not read; take the weights of VGGT-1B.`,
  });
}
