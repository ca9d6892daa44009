/** Frequencies of rotary positions. */
export interface RopeConfig {
  readonly theta: number;
  /** Multi-axis positions: how many of the hd/2 frequencies follow each position row, in order. */
  readonly sections?: readonly number[];
  readonly scaling?: RopeScaling;
}

/**
 * `linear` divides the frequencies by `factor`. `dynamic` equals plain rotary positions up to `maxPositions` tokens;
 * longer sequences are refused.
 */
export type RopeScaling =
  | { readonly kind: 'linear'; readonly factor: number }
  | { readonly kind: 'dynamic'; readonly factor: number; readonly maxPositions: number };

/** What distinguishes the decoders of all supported families. */
export interface DecoderConfig {
  readonly hiddenSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  /** Read from the configuration, not hiddenSize / heads: they differ in some families. */
  readonly headDim: number;
  readonly intermediateSize: number;
  /** Rows of the embedding table; may exceed the tokenizer's size. */
  readonly vocabularySize: number;
  readonly rmsNormEps: number;
  /** q, k and v projections have biases. */
  readonly qkvBias: boolean;
  /** RMS norm over each head of q and k before the rotation. */
  readonly qkNorm: boolean;
  /** Logits use the embedding table. */
  readonly tieHead: boolean;
  readonly rope: RopeConfig;
}

/** Where the decoder's tensors lie in a checkpoint. */
export interface DecoderNames {
  /** Prefix of `embed_tokens`, `layers.N` and `norm`, for example `model`. */
  readonly model: string;
  /** Full name of the output matrix, for example `lm_head.weight`. */
  readonly head: string;
}

/**
 * Every tensor of a decoder with its shape.
 * @returns shapes by full name; linear weights are (out, in).
 */
export function decoderShapes(
  config: DecoderConfig,
  names: DecoderNames,
): Record<string, readonly number[]> {
  const { hiddenSize, vocabularySize } = config;
  const shapes: Record<string, readonly number[]> = {};
  shapes[`${names.model}.embed_tokens.weight`] = [vocabularySize, hiddenSize];
  for (let layer = 0; layer < config.layers; layer++) {
    for (const [name, shape] of Object.entries(blockShapes(config))) {
      shapes[`${names.model}.layers.${layer}.${name}`] = shape;
    }
  }
  shapes[`${names.model}.norm.weight`] = [hiddenSize];
  if (!config.tieHead) shapes[names.head] = [vocabularySize, hiddenSize];
  return shapes;
}

/** Tensors of one decoder block by their name inside the block. */
export function blockShapes(config: DecoderConfig): Record<string, readonly number[]> {
  const { hiddenSize, headDim, intermediateSize } = config;
  const queries = config.heads * headDim;
  const keys = config.kvHeads * headDim;
  const biases = {
    'self_attn.q_proj.bias': [queries],
    'self_attn.k_proj.bias': [keys],
    'self_attn.v_proj.bias': [keys],
  };
  const headNorms = { 'self_attn.q_norm.weight': [headDim], 'self_attn.k_norm.weight': [headDim] };
  return {
    'input_layernorm.weight': [hiddenSize],
    'self_attn.q_proj.weight': [queries, hiddenSize],
    'self_attn.k_proj.weight': [keys, hiddenSize],
    'self_attn.v_proj.weight': [keys, hiddenSize],
    ...(config.qkvBias ? biases : {}),
    ...(config.qkNorm ? headNorms : {}),
    'self_attn.o_proj.weight': [hiddenSize, queries],
    'post_attention_layernorm.weight': [hiddenSize],
    'mlp.gate_proj.weight': [intermediateSize, hiddenSize],
    'mlp.up_proj.weight': [intermediateSize, hiddenSize],
    'mlp.down_proj.weight': [hiddenSize, intermediateSize],
  };
}
