/** Configurations in the shape of the published config.json files. */

interface Sizes {
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_attention_heads: number;
  readonly num_hidden_layers: number;
  readonly num_key_value_heads: number;
}

export const SIZES = {
  '1B': {
    hidden_size: 896,
    intermediate_size: 4864,
    num_attention_heads: 14,
    num_hidden_layers: 24,
    num_key_value_heads: 2,
  },
  '2B': {
    hidden_size: 1536,
    intermediate_size: 8960,
    num_attention_heads: 12,
    num_hidden_layers: 28,
    num_key_value_heads: 2,
  },
  '8B': {
    hidden_size: 3584,
    intermediate_size: 18944,
    num_attention_heads: 28,
    num_hidden_layers: 28,
    num_key_value_heads: 4,
  },
} satisfies Record<string, Sizes>;

export type PublishedSize = keyof typeof SIZES;

const decoder = (sizes: Sizes) => ({
  ...sizes,
  attention_dropout: 0.0,
  bos_token_id: 151643,
  hidden_act: 'silu',
  initializer_range: 0.02,
  max_position_embeddings: 32768,
  max_window_layers: 70,
  model_type: 'qwen2',
  rms_norm_eps: 1e-6,
  rope_theta: 1000000.0,
  sliding_window: null,
  use_cache: true,
  use_sliding_window: false,
  vocab_size: 151674,
});

const tower = {
  attention_dropout: 0.0,
  hidden_act: 'gelu',
  hidden_size: 1024,
  initializer_range: 0.02,
  intermediate_size: 4096,
  layer_norm_eps: 1e-6,
  norm_type: 'layer_norm',
  num_attention_heads: 16,
  num_hidden_layers: 24,
};

export const originalConfigOf = (size: PublishedSize) => ({
  architectures: ['InternVLChatModel'],
  downsample_ratio: 0.5,
  dynamic_image_size: true,
  force_image_size: 448,
  llm_config: {
    architectures: ['Qwen2ForCausalLM'],
    ...decoder(SIZES[size]),
    eos_token_id: 151643,
    rope_scaling: { factor: 2.0, rope_type: 'dynamic', type: 'dynamic' },
    tie_word_embeddings: false,
  },
  max_dynamic_patch: 12,
  min_dynamic_patch: 1,
  model_type: 'internvl_chat',
  pad2square: false,
  ps_version: 'v2',
  select_layer: -1,
  template: 'internvl2_5',
  torch_dtype: 'bfloat16',
  use_backbone_lora: 0,
  use_llm_lora: 0,
  use_thumbnail: true,
  vision_config: {
    architectures: ['InternVisionModel'],
    ...tower,
    drop_path_rate: 0.1,
    image_size: 448,
    model_type: 'intern_vit_6b',
    patch_size: 14,
    qk_normalization: false,
    qkv_bias: true,
  },
});

export const nativeConfigOf = (size: PublishedSize) => ({
  architectures: ['InternVLForConditionalGeneration'],
  downsample_ratio: 0.5,
  image_seq_length: 256,
  image_token_id: 151667,
  model_type: 'internvl',
  projector_hidden_act: 'gelu',
  text_config: {
    ...decoder(SIZES[size]),
    eos_token_id: 151645,
    rope_scaling: { factor: 2.0, rope_type: 'dynamic', type: 'dynamic' },
  },
  torch_dtype: 'bfloat16',
  vision_config: {
    ...tower,
    attention_bias: true,
    image_size: [448, 448],
    layer_scale_init_value: 0.1,
    model_type: 'internvl_vision',
    num_channels: 3,
    patch_size: [14, 14],
    use_absolute_position_embeddings: true,
    use_mask_token: false,
    use_mean_pooling: true,
    use_qk_norm: false,
  },
  vision_feature_layer: -1,
  vision_feature_select_strategy: 'default',
});
