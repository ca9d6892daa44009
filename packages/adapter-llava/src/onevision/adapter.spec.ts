import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { HALF_STATISTICS, tf } from '@spatialsv/core/kit';
import type { BackboneAdapterV1, BackboneV1, Parameters } from '@spatialsv/core/spec';
import {
  describeBackboneAdapter,
  locateCells,
  rampImage,
  readWeights,
  withTemporaryFolder,
} from '@spatialsv/core/testing';
import { type Config, describeCheckpoints } from '../__fixtures__/describe-checkpoints.js';
import { llavaOneVision } from './adapter.js';
import type { ViewMode } from './prepare.js';
import { writeTinyOneVision } from './tiny-checkpoint.js';

/** Smaller than the default, because random numbers are slow inside Jest. */
const SMALL = {
  hiddenSize: 48,
  layers: 4,
  vision: { depth: 2, hiddenSize: 32, heads: 2, imageSize: 76 },
};

const small: BackboneAdapterV1 = {
  ...llavaOneVision,
  writeTiny: (options) => writeTinyOneVision({ ...SMALL, ...options }),
};

describeBackboneAdapter(() => small);

/** In-memory name (transformers 5.x) of a published one. */
const inMemoryName = (name: string): string =>
  name
    .replace(/^vision_tower\.vision_model\./, 'model.vision_tower.')
    .replace(/^(multi_modal_projector\.|image_newline$)/, 'model.$1')
    .replace(/^language_model\.model\./, 'model.language_model.')
    .replace(/^language_model\.lm_head\./, 'lm_head.');

const inText = (change: object) => (config: Config) => ({
  ...config,
  text_config: { ...config['text_config'], ...change },
});

const inVision = (change: object) => (config: Config) => ({
  ...config,
  vision_config: { ...config['vision_config'], ...change },
});

describeCheckpoints(small, {
  projector: 'image_newline',
  inMemoryName,
  placeholder: '<image>',
  misfits: [
    ['model_type', (config) => ({ ...config, model_type: 'qwen2_5_vl' })],
    ['language_model.model.embed_tokens.weight', inText({ vocab_size: 7 })],
    ['language_model.model.layers.4.', inText({ num_hidden_layers: 5 })],
    ['vision_tower.vision_model.embeddings.', inVision({ hidden_size: 64 })],
    ['encoder.layers.2.', inVision({ num_hidden_layers: 3 })],
    ['image_size 104', inVision({ image_size: 104 })],
    ['<image>', (config) => ({ ...config, image_token_index: 3 })],
  ],
});

describe('the image processor', () => {
  it.each([
    ['resample', { resample: 2 }],
    ['size.height', { size: { height: 60, width: 76 } }],
    ['size.shortest_edge', { size: { shortest_edge: 60 } }],
    ['image_grid_pinpoints', { image_grid_pinpoints: [[76, 76]] }],
  ])('has to agree with config.json on %s', (field, change) =>
    withTemporaryFolder(async (folder) => {
      await small.writeTiny({ folder, seed: 1 });
      const file = path.join(folder, 'preprocessor_config.json');
      await writeFile(
        file,
        JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), ...change }),
      );
      await expect(small.open(folder)).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
        message: expect.stringContaining(field),
      });
    }),
  );

  it('has no budget of pixels', () =>
    withTemporaryFolder(async (folder) => {
      await small.writeTiny({ folder, seed: 1 });
      await expect(small.open(folder, { maxPixels: 9 })).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
      });
    }));
});

describe('the grid of a view', () => {
  const withModel = (
    mode: ViewMode,
    use: (model: BackboneV1, weights: Parameters) => Promise<void>,
  ): Promise<void> =>
    withTemporaryFolder(async (folder) => {
      await tf.setBackend('cpu');
      await small.writeTiny({ folder, seed: 1 });
      const model = await llavaOneVision.open(folder, { settings: { views: mode } });
      await use(model, await readWeights(folder));
    });

  it.each<[ViewMode, number, string, number, number]>([
    ['anyres', 1, 'tall', 60, 200],
    ['anyres', 1, 'wide', 300, 70],
    ['anyres', 1, 'tiny', 20, 30],
    ['anyres', 1, 'large', 310, 300],
    ['anyres', 2, 'tall', 60, 200],
    ['anyres', 2, 'wide', 300, 70],
    ['anyres', 2, 'tiny', 20, 30],
    ['padded', 1, 'wide', 300, 200],
    ['frames', 2, 'tall', 60, 200],
    ['frames', 2, 'tiny', 30, 20],
  ])('is row-major: %s, %i view, %s image', (mode, count, _, width, height) =>
    withModel(mode, async (model, weights) => {
      const image = rampImage(width, height);
      const images = Array(count).fill(image);
      const { views, grids } = await model.prepare({ images, question: '?' });
      for (const [i, view] of views.entries()) {
        const shown = { view, grid: grids[i]!, image };
        for (const cell of locateCells(model, weights, shown, HALF_STATISTICS)) {
          expect(Math.abs(cell.foundRow - cell.row)).toBeLessThan(0.5);
          expect(Math.abs(cell.foundColumn - cell.column)).toBeLessThan(0.5);
        }
      }
    }),
  );

  it.each([1, 2])('covers what its cells see: %i view', (count) =>
    withModel('anyres', async (model) => {
      const image = rampImage(640, 480);
      const images = Array(count).fill(image);
      const { grids } = await model.prepare({ images, question: '?' });
      for (const { h, w, toImage, covered } of grids) {
        expect(covered.x0).toBeCloseTo(toImage.bx);
        expect(covered.y0).toBeCloseTo(toImage.by);
        expect(covered.x1).toBeCloseTo(toImage.bx + w * toImage.ax);
        expect(covered.y1).toBeCloseTo(toImage.by + h * toImage.ay);
        expect(covered.y1 - covered.y0).toBeGreaterThan(300);
      }
    }),
  );

  it('keeps one row where the image is thinner than a cell', () =>
    withModel('padded', async (model) => {
      const image = rampImage(1500, 10);
      const { grids } = await model.prepare({ images: [image, image], question: '?' });
      expect(grids[0]).toMatchObject({ h: 1, w: 5, covered: { y0: 0, y1: 10 } });
      expect(grids[0]!.extraIndex).toHaveLength(21);
    }));
});
