import {
  type RandomValues,
  randomTensors,
  unitGain,
  writeCheckpointFolder,
} from '@spatialsv/core/kit';
import { type Da3Config, parseDa3Config } from './da3-config.js';
import { da3ConfigFile } from './da3-config-file.js';
import { da3Shapes } from './da3-names.js';

/** Every part of an any-view network at the smallest sensible size. */
const TINY = parseDa3Config({
  model_name: 'da3-tiny',
  config: {
    net: {
      name: 'vits',
      out_layers: [3, 5, 6, 7],
      alt_start: 2,
      qknorm_start: 2,
      rope_start: 2,
      embed_dim: 32,
      depth: 8,
      num_heads: 2,
      img_size: 56,
    },
    head: { __object__: { name: 'DualDPT' }, features: 16, out_channels: [8, 16, 24, 24] },
    cam_enc: { num_heads: 4, trunk_depth: 2 },
  },
});

/** Writes a small random checkpoint with every structural feature of an any-view network (1.1 MB). Equal for equal seeds. */
export const writeTiny = ({
  folder,
  seed,
}: {
  readonly folder: string;
  readonly seed: number;
}): Promise<void> => writeRandomWeights(folder, TINY, seed);

/**
 * Writes config.json and model.safetensors with random float32 weights of any size, a piece of a tensor at a time. Equal
 * for equal seeds. Poses come out near the identity with fields of view near 1 rad, depth near 1, so that labels of any
 * view set are well formed.
 * @param folder made where it does not exist. @param config for example `variantConfig('da3-small')`.
 */
export const writeRandomWeights = (
  folder: string,
  config: Da3Config,
  seed: number,
): Promise<void> =>
  writeCheckpointFolder(folder, {
    files: { 'config.json': da3ConfigFile(config) },
    weights: randomTensors(da3Shapes(config), seed, valuesOf),
  });

/** Camera biases: the identity, and a field of view of 1 rad. */
const cameraBias = (name: string): readonly number[] | undefined => {
  const biases = { fc_t: [0, 0, 0], fc_qvec: [0, 0, 0, 1], 'fc_fov.0': [1, 1] };
  return Object.entries(biases).find(([layer]) => name.endsWith(`cam_dec.${layer}.bias`))?.[1];
};

/** Outputs that are to stay near their bias. */
const isOutput = (name: string): boolean =>
  /\.(fc_t|fc_qvec|fc_fov\.0|(sky_)?output_conv2\.2)\.weight$/.test(name);

const valuesOf = (name: string, shape: readonly number[]): RandomValues => {
  const fixed = cameraBias(name);
  if (fixed !== undefined) return Float32Array.from(fixed);
  return unitGain(name, shape, isOutput(name) ? 0.02 : 1);
};
