import type { BackboneAdapterV1 } from '@spatialsv/core/spec';
import { describeBackboneAdapter } from '@spatialsv/core/testing';
import plugin, { qwen25Vl } from './plugin.js';
import { writeTinyQwen25Vl } from './tiny-checkpoint.js';

describe('plugin', () => {
  it('contributes the adapter', () => {
    expect(plugin.contributions()).toEqual([qwen25Vl]);
  });
});

/** The adapter with smaller tiny checkpoints, because random numbers are slow inside Jest. */
const small: BackboneAdapterV1 = {
  ...qwen25Vl,
  writeTiny: (options) =>
    writeTinyQwen25Vl({
      ...options,
      hiddenSize: 48,
      layers: 4,
      vision: { depth: 2, hiddenSize: 32, heads: 2, windowSize: 56 },
    }),
};

describeBackboneAdapter(() => small);
