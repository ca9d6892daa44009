import type { BackboneAdapterV1 } from '@spatialsv/core/spec';
import { describeBackboneAdapter } from '@spatialsv/core/testing';
import { llavaNextVideo } from './next-video/adapter.js';
import { writeTinyNextVideo } from './next-video/tiny-checkpoint.js';
import { llavaNextVideoSiglip } from './next-video-siglip/adapter.js';
import { writeTinyNextVideoSiglip } from './next-video-siglip/tiny-checkpoint.js';
import { llavaOneVision } from './onevision/adapter.js';
import { llavaOneVision15 } from './onevision-15/adapter.js';
import plugin from './plugin.js';
import type { NextVideoTinyOptions } from './shared/tiny-tower.js';

describe('plugin', () => {
  it('contributes the adapters', () => {
    const expected = [llavaNextVideo, llavaNextVideoSiglip, llavaOneVision, llavaOneVision15];
    expect(plugin.contributions()).toEqual(expected);
  });

  it('tells the models apart by config.json', () => {
    const accepted = (config: Record<string, unknown>) =>
      plugin
        .contributions()
        .filter((adapter) => (adapter as BackboneAdapterV1).accepts(config))
        .map(({ id }) => id);
    const original = { architectures: ['LlavaQwenForCausalLM'] };
    const siglip = 'google/siglip-so400m-patch14-384';
    expect(accepted({ model_type: 'llava_qwen' })).toEqual(['llava-next-video-siglip']);
    expect(accepted({ ...original, model_type: 'llava', mm_vision_tower: siglip })).toEqual([
      'llava-next-video-siglip',
    ]);
    expect(accepted({ model_type: 'llava_qwen', mm_vision_tower: 'openai/clip' })).toEqual([]);
    expect(accepted({ model_type: 'llava_next_video' })).toEqual(['llava-next-video']);
    expect(accepted({ model_type: 'qwen2' })).toEqual([]);
  });
});

/** Smaller than the default, because random numbers are slow inside Jest. */
const SMALL = {
  hiddenSize: 48,
  layers: 4,
  vision: { depth: 3, hiddenSize: 32, heads: 2 },
};

const small = (
  adapter: BackboneAdapterV1,
  writeTiny: (options: NextVideoTinyOptions) => Promise<void>,
): BackboneAdapterV1 => ({
  ...adapter,
  writeTiny: (options) => writeTiny({ ...SMALL, ...options }),
});

describeBackboneAdapter(() => small(llavaNextVideo, writeTinyNextVideo));
describeBackboneAdapter(() => small(llavaNextVideoSiglip, writeTinyNextVideoSiglip));
