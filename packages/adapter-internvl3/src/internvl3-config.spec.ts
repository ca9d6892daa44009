import { defaultTaps } from '@spatialsv/core/kit';
import { nativeConfigOf, originalConfigOf, SIZES } from './__fixtures__/published-configs.js';
import { FAMILY } from './internvl3-backbone.js';
import { parseInternVl3Config } from './internvl3-config.js';
import { DEFAULT_SYSTEM } from './internvl3-prompt.js';
import { internVl3 } from './plugin.js';

const original = originalConfigOf('2B');
const native = nativeConfigOf('2B');

const refuses = (config: Readonly<Record<string, unknown>>, field: string) =>
  expect(() => parseInternVl3Config(config)).toThrow(
    expect.objectContaining({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(`config.json.${field}:`),
    }),
  );

describe('parseInternVl3Config', () => {
  it('reads the same model from both layouts', () => {
    const [a, b] = [parseInternVl3Config(original), parseInternVl3Config(native)];
    expect(a.layout).toBe('original');
    expect(b.layout).toBe('native');
    expect(b.vision).toEqual(a.vision);
    // The class of transformers ties by default; a stored matrix decides when the folder is opened.
    expect(b.decoder).toEqual({ ...a.decoder, tieHead: true });
    expect(a.decoder).toMatchObject({ layers: 28, heads: 12, kvHeads: 2, headDim: 128 });
    expect(a.decoder).toMatchObject({ qkvBias: true, vocabularySize: 151674 });
    const scaling = { kind: 'dynamic', factor: 2, maxPositions: 32768 };
    expect(a.decoder.rope).toEqual({ theta: 1e6, scaling });
    expect(a.vision).toMatchObject({ tileSize: 448, outputSize: 1536 });
    expect(a.vision.tower).toMatchObject({
      ...{ width: 1024, heads: 16, depth: 24, qkvBias: true, layerScale: true },
      ...{ norm: { kind: 'layer', epsilon: 1e-6 }, positions: { side: 32 } },
    });
    expect(b.imageTokenId).toBe(151667);
    expect(a.imageTokenId).toBeUndefined();
    expect(a.original).toMatchObject({
      tiling: { tileSize: 448, minTiles: 1, maxTiles: 12, hasThumbnail: true },
      system: DEFAULT_SYSTEM,
    });
  });

  it('has the defaults of the classes of transformers', () => {
    const bare = { model_type: 'internvl' };
    const { decoder, vision, imageTokenId } = parseInternVl3Config(bare);
    expect(decoder).toMatchObject({ hiddenSize: 4096, layers: 32, kvHeads: 32, tieHead: true });
    expect(decoder.rope).toEqual({ theta: 10000 });
    expect(vision.tower).toMatchObject({ width: 1024, depth: 24, heads: 16, qkvBias: false });
    expect(imageTokenId).toBe(151667);
  });

  it('has the defaults of the original code, which tile nothing', () => {
    const { dynamic_image_size, use_thumbnail, max_dynamic_patch, ...rest } = original;
    const { tiling } = parseInternVl3Config(rest).original!;
    expect(tiling).toMatchObject({ minTiles: 1, maxTiles: 1, hasThumbnail: false });
    const dynamic = parseInternVl3Config({ ...rest, dynamic_image_size: true });
    expect(dynamic.original!.tiling.maxTiles).toBe(6);
  });

  it('reads sizes written as 5.x does, and a system text', () => {
    const { rope_scaling, rope_theta, ...text } = native.text_config;
    const rope_parameters = { factor: 2, rope_theta, rope_type: 'dynamic' };
    const vision_config = { ...native.vision_config, image_size: 448, patch_size: 14 };
    const modern = { ...native, text_config: { ...text, rope_parameters }, vision_config };
    expect(parseInternVl3Config(modern)).toEqual(parseInternVl3Config(native));
    const named = parseInternVl3Config({ ...original, system_message: 'Be brief.' });
    expect(named.original!.system).toBe('Be brief.');
  });

  it.each<[string, Record<string, unknown>]>([
    ['model_type', { model_type: 'qwen2_5_vl' }],
    ['template', { template: 'Hermes-2' }],
    ['ps_version', { ps_version: 'v1' }],
    ['ps_version', { ps_version: undefined }],
    ['select_layer', { select_layer: -4 }],
    ['downsample_ratio', { downsample_ratio: 0.25 }],
    ['pad2square', { pad2square: true }],
    ['use_llm_lora', { use_llm_lora: 16 }],
    ['system_message', { system_message: 3 }],
    ['llm_config', { llm_config: undefined }],
    [
      'llm_config.architectures',
      { llm_config: { ...original.llm_config, architectures: ['InternLM3ForCausalLM'] } },
    ],
    ['llm_config.hidden_act', { llm_config: { ...original.llm_config, hidden_act: 'gelu' } }],
    ['vision_config', { vision_config: undefined }],
    [
      'vision_config.qk_normalization',
      { vision_config: { ...original.vision_config, qk_normalization: true } },
    ],
    ['vision_config.qk_normalization', { vision_config: {} }],
    [
      'vision_config.hidden_size',
      { vision_config: { ...original.vision_config, num_attention_heads: 15 } },
    ],
    ['vision_config.image_size', { force_image_size: 450 }],
    ['vision_config.norm_type', { vision_config: { ...original.vision_config, norm_type: 'x' } }],
  ])('refuses another %s of the original layout', (field, change) => {
    refuses({ ...original, ...change }, field);
  });

  const ofVision = (change: Record<string, unknown>) => ({
    vision_config: { ...native.vision_config, ...change },
  });

  it.each<[string, Record<string, unknown>]>([
    ['vision_feature_layer', { vision_feature_layer: -2 }],
    ['vision_feature_select_strategy', { vision_feature_select_strategy: 'full' }],
    ['projector_hidden_act', { projector_hidden_act: 'silu' }],
    ['image_seq_length', { image_seq_length: 1024 }],
    ['image_token_id', { image_token_id: 151674 }],
    ['text_config.model_type', { text_config: { ...native.text_config, model_type: 'qwen3' } }],
    [
      'text_config.num_attention_heads',
      { text_config: { ...native.text_config, num_key_value_heads: 5 } },
    ],
    ['vision_config.use_qk_norm', ofVision({ use_qk_norm: true })],
    ['vision_config.use_mean_pooling', ofVision({ use_mean_pooling: false })],
    [
      'vision_config.use_absolute_position_embeddings',
      ofVision({ use_absolute_position_embeddings: false }),
    ],
    ['vision_config.image_size', ofVision({ image_size: [448, 336] })],
    ['vision_config.patch_size', ofVision({ patch_size: '14' })],
    ['vision_config.num_channels', ofVision({ num_channels: 4 })],
  ])("refuses another %s of transformers' layout", (field, change) => {
    refuses({ ...native, ...change }, field);
  });

  it('recognises its own family only', () => {
    expect(internVl3.accepts(original)).toBe(true);
    expect(internVl3.accepts(native)).toBe(true);
    expect(internVl3.accepts({ model_type: 'internvl_vision' })).toBe(false);
    expect(internVl3.accepts({})).toBe(false);
  });
});

describe('published taps', () => {
  it.each(Object.values(SIZES))('of $num_hidden_layers layers', ({ num_hidden_layers }) => {
    expect(defaultTaps(num_hidden_layers, FAMILY.taps)).toEqual([3, 9, 15, 21]);
  });
});
