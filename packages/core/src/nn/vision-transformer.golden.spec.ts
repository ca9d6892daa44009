import path from 'node:path';
import { type Tensor, tf } from '@spatialsv/engine';
import { expectAllclose } from '../testing/allclose.js';
import { filled } from '../testing/filled.js';
import { type Golden, readGolden } from '../testing/golden.js';
import { parameterScope } from './parameter-scope.js';
import {
  type Activation,
  CLIP_NAMES,
  DINO_NAMES,
  towerShapes,
  type VisionTowerConfig,
  type VisionTowerNames,
} from './vision-config.js';
import type { PatchGrid } from './vision-positions.js';
import { visionTower } from './vision-transformer.js';

beforeAll(() => tf.setBackend('cpu'));

const layer = (epsilon: number) => ({ kind: 'layer', epsilon }) as const;

const form = (activation: Activation, epsilon: number): VisionTowerConfig => ({
  width: 32,
  heads: 2,
  depth: 3,
  norm: layer(epsilon),
  qkvBias: true,
  layerScale: false,
  mlp: { hidden: 48, activation, gated: false },
  patch: { size: 14, channels: 3, bias: false },
});
const learnt = { side: 4, resampling: { kind: 'offset', offset: 0 } } as const;

const INTERN_NAMES: VisionTowerNames = {
  ...DINO_NAMES,
  patch: 'embeddings.patch_embeddings.projection',
  classToken: { name: 'embeddings.cls_token', rank: 3 },
  positions: { name: 'embeddings.position_embeddings', rank: 3 },
  blocks: 'encoder.layer',
  block: {
    ...DINO_NAMES.block,
    norm1: 'layernorm_before',
    qkv: { q: 'attention.q_proj', k: 'attention.k_proj', v: 'attention.v_proj' },
    projection: 'attention.projection_layer',
    scale1: 'lambda_1',
    norm2: 'layernorm_after',
    scale2: 'lambda_2',
  },
};

/** Towers of four families, with the names that transformers gives their tensors. */
const TOWERS: Readonly<Record<string, readonly [VisionTowerConfig, VisionTowerNames]>> = {
  clip: [
    {
      ...form('quick-gelu', 1e-5),
      classToken: { angles: false },
      positions: learnt,
      preNorm: layer(1e-5),
    },
    CLIP_NAMES,
  ],
  siglip: [
    {
      ...form('gelu-tanh', 1e-6),
      patch: { size: 14, channels: 3, bias: true },
      positions: learnt,
    },
    CLIP_NAMES,
  ],
  rice: [
    {
      ...form('gelu', 1e-5),
      classToken: { angles: true },
      preNorm: layer(1e-5),
      rotary: { base: 10000, form: 'head' },
    },
    CLIP_NAMES,
  ],
  internvit: [
    {
      ...form('gelu', 1e-6),
      patch: { size: 14, channels: 3, bias: true },
      classToken: { angles: false },
      positions: learnt,
      layerScale: true,
    },
    INTERN_NAMES,
  ],
};

const tensor = (name: string, shape: readonly number[]): Tensor =>
  tf.tensor(filled(name, shape), [...shape]);

/** (S, 3, H, W) → (S, P, 3 · 14²): 2×2 cells row by row, their 2×2 patches row by row, colours slowest. */
const cellByCell = (pixels: Tensor, { h, w }: PatchGrid): Tensor => {
  const [data, views] = [pixels.dataSync(), pixels.shape[0]!];
  const values: number[] = [];
  for (let view = 0; view < views; view++)
    for (let patch = 0; patch < h * w; patch++) {
      const [cell, inside] = [patch >> 2, patch & 3];
      const top = 14 * (2 * Math.floor(cell / (w / 2)) + (inside >> 1));
      const left = 14 * (2 * (cell % (w / 2)) + (inside & 1));
      for (let plane = 0; plane < 3; plane++)
        for (let y = top; y < top + 14; y++)
          for (let x = left; x < left + 14; x++)
            values.push(data[((view * 3 + plane) * 14 * h + y) * 14 * w + x]!);
    }
  return tf.tensor(values, [views, h * w, 3 * 14 * 14]);
};

describe.each(Object.keys(TOWERS))('%s beside transformers', (name) => {
  const [config, names] = TOWERS[name]!;
  const parameters = Object.fromEntries(
    Object.entries(towerShapes(config, names)).map(([key, shape]) => [key, tensor(key, shape)]),
  );
  const states = [0, 1, 2, 3];
  let golden: Golden;
  let pixels: Tensor;
  let grid: PatchGrid;

  beforeAll(async () => {
    golden = await readGolden(path.join(__dirname, '__golden__', name));
    pixels = tensor('pixels', golden.info['pixels'] as number[]);
    grid = { h: pixels.shape[2]! / 14, w: pixels.shape[3]! / 14 };
  });

  const expectStates = (found: Readonly<Record<number, Tensor>>) => {
    const { relative } = golden.info['tolerance'] as { relative: number };
    for (const state of states) {
      const expected = golden.float32(String(state));
      const largest = expected.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
      const actual = found[state]!.dataSync();
      expectAllclose(actual, expected, { rtol: 0, atol: relative * largest });
    }
  };

  it('has the states of whole images', () => {
    const input = { images: tf.transpose(pixels, [0, 2, 3, 1]) };
    expectStates(visionTower(config, names, parameterScope(parameters), input, { states }).states);
  });

  it('has the states of patches that come cell by cell', () => {
    const input = { patches: cellByCell(pixels, grid), grid };
    const cells = { ...config, cellSide: 2 };
    expectStates(visionTower(cells, names, parameterScope(parameters), input, { states }).states);
  });
});
