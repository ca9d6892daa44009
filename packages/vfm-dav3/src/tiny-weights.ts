import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import {
  createRandom,
  type TensorSource,
  writeFileAtomic,
  writeSafetensors,
} from '@spatialsv/core';
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
export const writeRandomWeights = async (
  folder: string,
  config: Da3Config,
  seed: number,
): Promise<void> => {
  await mkdir(folder, { recursive: true });
  const file = JSON.stringify(da3ConfigFile(config), null, 2);
  await writeFileAtomic(path.join(folder, 'config.json'), `${file}\n`);
  const sources = Object.entries(da3Shapes(config)).map(
    ([name, shape], index) => [name, randomSource(name, shape, seed * 2 ** 16 + index)] as const,
  );
  await writeSafetensors(path.join(folder, 'model.safetensors'), new Map(sources));
};

/** Values written at a time: 4 MiB. */
const PIECE = 1 << 20;

/** Every tensor has a seed of its own: its values do not depend on the others. */
const randomSource = (name: string, shape: readonly number[], seed: number): TensorSource => ({
  dtype: 'F32',
  shape,
  bytes: async function* () {
    const fixed = cameraBias(name);
    if (fixed !== undefined) {
      yield new Uint8Array(Float32Array.from(fixed).buffer);
      return;
    }
    const count = shape.reduce((a, b) => a * b, 1);
    const draw = uniformValues(seed, rangeOf(name, shape));
    for (let start = 0; start < count; start += PIECE)
      yield new Uint8Array(draw(Math.min(PIECE, count - start)).buffer);
  },
});

/** Camera biases: the identity, and a field of view of 1 rad. */
const cameraBias = (name: string): readonly number[] | undefined => {
  const biases = { fc_t: [0, 0, 0], fc_qvec: [0, 0, 0, 1], 'fc_fov.0': [1, 1] };
  return Object.entries(biases).find(([layer]) => name.endsWith(`cam_dec.${layer}.bias`))?.[1];
};

type Range = readonly [low: number, high: number];

/** Outputs that are to stay near their bias. */
const isOutput = (name: string): boolean =>
  /\.(fc_t|fc_qvec|fc_fov\.0|(sky_)?output_conv2\.2)\.weight$/.test(name);

/** Norms near 1, biases near 0, other weights with unit gain. */
const rangeOf = (name: string, shape: readonly number[]): Range => {
  if (name.endsWith('.gamma')) return [0.1, 0.3];
  if (shape.length === 1 && name.endsWith('.weight')) return [0.9, 1.1];
  if (name.endsWith('bias')) return [-0.05, 0.05];
  if (!name.endsWith('weight')) return [-0.5, 0.5];
  const inputs = shape.slice(1).reduce((a, b) => a * b, 1);
  const limit = Math.sqrt(3 / inputs) * (isOutput(name) ? 0.02 : 1);
  return [-limit, limit];
};

/** Draws the next values of a stream. Marsaglia's xorshift, inlined: the giant has more than 10⁹ weights. */
const uniformValues = (seed: number, [low, high]: Range): ((count: number) => Float32Array) => {
  const scale = (high - low) / 2 ** 32;
  let state = 1 + createRandom(seed).integer(2 ** 32 - 1);
  return (count) => {
    const values = new Float32Array(count);
    let x = state;
    for (let i = 0; i < count; i++) {
      x ^= x << 13;
      x ^= x >>> 17;
      x ^= x << 5;
      values[i] = low + (x >>> 0) * scale;
    }
    state = x;
    return values;
  };
};
