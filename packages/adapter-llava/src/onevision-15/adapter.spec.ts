import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { CLIP_STATISTICS, defaultTaps, inMemoryCellName, tf } from '@spatialsv/core/kit';
import type { BackboneAdapterV1 } from '@spatialsv/core/spec';
import {
  describeBackboneAdapter,
  locateCells,
  rampImage,
  readWeights,
  withTemporaryFolder,
} from '@spatialsv/core/testing';
import { describeCheckpoints } from '../__fixtures__/describe-checkpoints.js';
import { llavaOneVision15 } from './adapter.js';
import { ONEVISION15 } from './backbone.js';
import { writeTinyOneVision15 } from './tiny-checkpoint.js';

const GOLDEN = fileURLToPath(new URL('./__golden__/', import.meta.url));

/** Smaller than the default, because random numbers are slow inside Jest. */
const SMALL = { hiddenSize: 48, layers: 4, vision: { depth: 2, hiddenSize: 32, heads: 2 } };

const small: BackboneAdapterV1 = {
  ...llavaOneVision15,
  writeTiny: (options) => writeTinyOneVision15({ ...SMALL, ...options }),
};

describeBackboneAdapter(() => small);

describeCheckpoints(small, {
  projector: 'visual.merger.mlp.2.bias',
  inMemoryName: inMemoryCellName,
  placeholder: '<|image_pad|>',
  misfits: [
    ['model_type', (config) => ({ ...config, model_type: 'qwen2_5_vl' })],
    [
      'model.embed_tokens.weight',
      ({ text_config, ...config }) => ({
        ...config,
        text_config: { ...text_config, vocab_size: 7 },
      }),
    ],
    [
      'model.layers.4.',
      ({ text_config, ...config }) => ({
        ...config,
        text_config: { ...text_config, num_hidden_layers: 5 },
      }),
    ],
    [
      'self_attn.q_proj.weight',
      ({ text_config, ...config }) => ({
        ...config,
        text_config: { ...text_config, head_dim: 32 },
      }),
    ],
    [
      'visual.blocks.0.',
      ({ vision_config, ...config }) => ({
        ...config,
        vision_config: { ...vision_config, intermediate_size: 80 },
      }),
    ],
    ['<|image_pad|>', (config) => ({ ...config, image_token_id: 3 })],
  ],
});

describe('the grid of a view', () => {
  it.each([
    ['tall', 60, 200],
    ['wide', 300, 70],
    ['tiny', 20, 30],
  ])('is row-major for a %s image', (_, width, height) =>
    withTemporaryFolder(async (folder) => {
      await tf.setBackend('cpu');
      await small.writeTiny({ folder, seed: 1 });
      const backbone = await llavaOneVision15.open(folder);
      const parameters = await readWeights(folder);
      const image = rampImage(width, height);
      const { views, grids } = await backbone.prepare({ images: [image, image], question: '?' });
      for (const [i, view] of views.entries()) {
        const shown = { view, grid: grids[i]!, image };
        for (const cell of locateCells(backbone, parameters, shown, CLIP_STATISTICS)) {
          expect(Math.abs(cell.foundRow - cell.row)).toBeLessThan(0.25);
          expect(Math.abs(cell.foundColumn - cell.column)).toBeLessThan(0.25);
        }
      }
    }),
  );
});

describe('the published model', () => {
  it.each([
    [2560, 'LLaVA-OneVision-1.5-4B'],
    [4096, 'LLaVA-OneVision-1.5-8B'],
  ])('of width %i has its name, taps and rates', (hiddenSize, model) => {
    expect(ONEVISION15.models[`36x${hiddenSize}`]).toBe(model);
    expect(defaultTaps(36, ONEVISION15.taps)).toEqual([4, 12, 20, 28]);
    expect(ONEVISION15.learningRates).toEqual({
      ...{ languageModel: 2e-7, projector: 1e-5, spatial: 1e-5 },
    });
  });
});

describe('the golden folder', () => {
  it('is what writeTiny writes', () =>
    withTemporaryFolder(async (folder) => {
      const options = JSON.parse(await readFile(path.join(GOLDEN, 'options.json'), 'utf8'));
      await writeTinyOneVision15({ ...options, folder });
      for (const name of await readdir(path.join(GOLDEN, 'checkpoint'))) {
        const expected = await readFile(path.join(GOLDEN, 'checkpoint', name), 'utf8');
        expect(await readFile(path.join(folder, name), 'utf8')).toBe(expected);
      }
    }));

  it('has sizes that fit together', async () => {
    const odd = writeTinyOneVision15({ folder: '/nowhere', seed: 1, vision: { heads: 5 } });
    await expect(odd).rejects.toMatchObject({ code: 'USAGE' });
  });
});
