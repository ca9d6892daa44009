import {
  hashWeights,
  type MappedTensor,
  nearestName,
  openWeights,
  SpatialError,
} from '@spatialsv/core';
import type { Da3Config } from './da3-config.js';
import { da3Shapes, networkPrefixes, publishedNames } from './da3-names.js';

/** Weights of one network by names without the prefix of the file, still in their file. */
export type NetworkWeights = Readonly<Record<string, MappedTensor>>;

export interface Da3Weights {
  readonly anyView?: NetworkWeights;
  readonly single?: NetworkWeights;
  /** SHA-256 of the files; reads all of them. */
  hash(): Promise<string>;
}

const SHOWN_NAMES = 5;

/**
 * Opens the weights of a folder and compares them with the configuration. Reads headers only.
 * @throws SpatialError FILE_MISSING | FILE_INVALID | WEIGHT_MISSING | WEIGHT_UNEXPECTED | SHAPE_MISMATCH |
 *   DTYPE_UNSUPPORTED, naming tensor, folder and the nearest name.
 */
export const openDa3Weights = async (folder: string, config: Da3Config): Promise<Da3Weights> => {
  const reader = await openWeights(folder);
  const names = publishedNames(reader.names);
  const shapes = da3Shapes(config);
  checkNames(folder, Object.keys(shapes), [...names.keys()]);
  const weights: Record<string, MappedTensor> = {};
  for (const [name, shape] of Object.entries(shapes)) {
    weights[name] = reader.mapped(names.get(name)!);
    checkShape(folder, name, weights[name].shape, shape);
  }
  const [first, second] = networkPrefixes(config).map(({ prefix }) => under(prefix, weights));
  const networks = config.anyView
    ? { anyView: first!, ...(second ? { single: second } : {}) }
    : { single: first! };
  return { ...networks, hash: () => hashWeights(weights) };
};

const under = (prefix: string, weights: NetworkWeights): NetworkWeights =>
  Object.fromEntries(
    Object.entries(weights).flatMap(([name, weight]) =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), weight]] : [],
    ),
  );

const checkNames = (
  folder: string,
  expected: readonly string[],
  found: readonly string[],
): void => {
  const missing = expected.filter((name) => !found.includes(name));
  const unexpected = found.filter((name) => !expected.includes(name));
  if (missing.length > 0) throw nameError(folder, 'WEIGHT_MISSING', missing, found);
  if (unexpected.length > 0) throw nameError(folder, 'WEIGHT_UNEXPECTED', unexpected, expected);
};

const nameError = (
  folder: string,
  code: 'WEIGHT_MISSING' | 'WEIGHT_UNEXPECTED',
  names: readonly string[],
  candidates: readonly string[],
): SpatialError => {
  const shown = names.slice(0, SHOWN_NAMES).join(', ');
  const rest = names.length > SHOWN_NAMES ? ` and ${names.length - SHOWN_NAMES} more` : '';
  const nearest = nearestName(candidates, names[0]!);
  const problem =
    code === 'WEIGHT_MISSING'
      ? `${names.length} tensors are missing`
      : `${names.length} tensors are not part of this network`;
  return new SpatialError({
    code,
    message: `${folder}: ${problem}: ${shown}${rest}`,
    hint:
      (nearest === undefined ? '' : `The nearest name is ${nearest}. `) +
      'Keep config.json and model.safetensors of one published variant of Depth Anything 3 together.',
  });
};

const checkShape = (
  folder: string,
  name: string,
  found: readonly number[],
  expected: readonly number[],
): void => {
  if (found.length === expected.length && found.every((size, i) => size === expected[i])) return;
  throw new SpatialError({
    code: 'SHAPE_MISMATCH',
    message: `${folder}: ${name}: expected (${expected.join(', ')}), found (${found.join(', ')})`,
    hint: 'The weights belong to another variant: keep config.json and model.safetensors together.',
  });
};
