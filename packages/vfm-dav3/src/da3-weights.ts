import { type MappedTensor, openCheckpoint } from '@spatialsv/core/kit';
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

/**
 * Opens the weights of a folder and compares them with the configuration. Reads headers only.
 * @throws SpatialError FILE_MISSING | FILE_INVALID | WEIGHT_MISSING | WEIGHT_UNEXPECTED | SHAPE_MISMATCH |
 *   DTYPE_UNSUPPORTED, naming tensor, folder and the nearest name.
 */
export const openDa3Weights = async (folder: string, config: Da3Config): Promise<Da3Weights> => {
  const shapes = da3Shapes(config);
  const content = { shapes, names: publishedNames, refuseUnknown: true };
  const { weights, hash } = await openCheckpoint(folder, content);
  const [first, second] = networkPrefixes(config).map(({ prefix }) => under(prefix, weights));
  const networks = config.anyView
    ? { anyView: first!, ...(second ? { single: second } : {}) }
    : { single: first! };
  return { ...networks, hash };
};

const under = (prefix: string, weights: NetworkWeights): NetworkWeights =>
  Object.fromEntries(
    Object.entries(weights).flatMap(([name, weight]) =>
      name.startsWith(`${prefix}.`) ? [[name.slice(prefix.length + 1), weight]] : [],
    ),
  );
