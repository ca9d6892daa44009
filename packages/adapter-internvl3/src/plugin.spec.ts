import type { BackboneAdapterV1 } from '@spatialsv/core/spec';
import { describeBackboneAdapter } from '@spatialsv/core/testing';
import type { CheckpointLayout } from './model-type.js';
import plugin, { internVl3 } from './plugin.js';
import { writeTinyInternVl3 } from './tiny-checkpoint.js';

describe('plugin', () => {
  it('contributes the adapter', () => {
    expect(plugin.contributions()).toEqual([internVl3]);
  });
});

/** The adapter with smaller tiny checkpoints, because random numbers are slow inside Jest. */
const small = (
  layout: CheckpointLayout,
  settings: Readonly<Record<string, unknown>> = {},
): BackboneAdapterV1 => ({
  ...internVl3,
  open: (folder, options) =>
    internVl3.open(folder, { ...options, settings: { ...settings, ...options?.settings } }),
  writeTiny: (options) =>
    writeTinyInternVl3({
      ...options,
      layout,
      hiddenSize: 48,
      layers: 4,
      vision: { depth: 2, hiddenSize: 32, heads: 2, tileSize: 56 },
    }),
});

describe('original layout', () => {
  describeBackboneAdapter(() => small('original'));
});

describe('native layout, tiles with a thumbnail', () => {
  describeBackboneAdapter(() => small('native', { maxTiles: 6 }));
});

describe('original layout, the thumbnail as feature grid', () => {
  describeBackboneAdapter(() => small('original', { maxTiles: 6, grid: 'thumbnail' }));
});
