/** What tiny checkpoints of all families share: options, parts of their configuration files, random weights. */
import { sizeOf } from '@spatialsv/engine';
import { SpatialError } from '../errors.js';
import type { JsonObject } from '../json.js';
import type { Shapes, VisionTowerConfig, VisionTowerNames } from '../nn/index.js';
import { float32Source, type TensorSources } from '../safetensors/index.js';
import type { TinyCheckpointOptions } from '../spec.js';
import type { PixelStatistics } from './image-processor.js';
import {
  type TinyValues,
  tinyDecoderValues,
  tinyPatchFilters,
  tinyTowerValues,
  tinyWeights,
} from './tiny-weights.js';

/** What can be chosen in every family beside the options that the contract knows. */
export interface TinyModelOptions extends TinyCheckpointOptions {
  readonly kvHeads?: number;
  readonly intermediateSize?: number;
  readonly storedAs?: 'F32' | 'BF16';
  /** Upper bound on learnt tokens. Default 1500. */
  readonly maxMerges?: number;
  readonly vision?: TinyTowerOptions;
  /** Size of the projector's output weights, 0.2 by default; 1 lets a model that is trained from scratch see sooner. */
  readonly projectorGain?: number;
}

export interface TinyTowerOptions {
  /** Blocks of the checkpoint. */
  readonly depth?: number;
  readonly hiddenSize?: number;
  readonly intermediateSize?: number;
  readonly heads?: number;
}

/** Sizes of a decoder in the keys of transformers' classes. @param tokens of its vocabulary. */
export function tinyDecoderConfig(options: TinyModelOptions, tokens: number): JsonObject {
  const hidden = options.hiddenSize ?? 128;
  return {
    hidden_act: 'silu',
    hidden_size: hidden,
    intermediate_size: options.intermediateSize ?? 3 * hidden,
    max_position_embeddings: 4096,
    num_attention_heads: options.heads ?? 4,
    num_hidden_layers: options.layers ?? 6,
    vocab_size: Math.ceil(tokens / 8) * 8,
  };
}

/** Heads of keys and values where they are fewer than those of queries. */
export const tinyKvHeads = ({ kvHeads, heads = 4 }: TinyModelOptions): number =>
  kvHeads ?? Math.max(1, Math.floor(heads / 2));

/** Sizes of a vision tower in the keys of transformers' classes. */
export function tinyTowerConfig({ vision = {} }: TinyModelOptions): JsonObject {
  const hidden = vision.hiddenSize ?? 96;
  return {
    hidden_size: hidden,
    intermediate_size: vision.intermediateSize ?? 2 * hidden,
    num_attention_heads: vision.heads ?? 4,
    num_hidden_layers: vision.depth ?? 4,
  };
}

/** Keys in the order in which transformers writes them. */
export const alphabetical = (config: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(config).sort(([a], [b]) => (a < b ? -1 : 1)));

/** `torch_dtype` of the weights. */
export const tinyDtype = ({ storedAs }: TinyModelOptions): string =>
  storedAs === 'BF16' ? 'bfloat16' : 'float32';

/** generation_config.json of families that speak as Qwen does. @param ids by token. */
export const qwenGenerationConfig = (ids: ReadonlyMap<string, number>): JsonObject => ({
  bos_token_id: ids.get('<|endoftext|>'),
  do_sample: false,
  eos_token_id: [ids.get('<|im_end|>'), ids.get('<|endoftext|>')],
  pad_token_id: ids.get('<|endoftext|>'),
});

/**
 * File of an image processor that does to the pixels what all families do; the inverse of `readPixelStatistics`.
 * @param further keys of the family.
 */
export const pixelStepsConfig = ({ mean, std }: PixelStatistics, further: JsonObject): JsonObject =>
  alphabetical({
    ...{ do_convert_rgb: true, do_normalize: true, do_rescale: true, do_resize: true },
    ...{ image_mean: mean, image_std: std, resample: 3, rescale_factor: 1 / 255 },
    ...further,
  });

/** A model whose weights are drawn. */
export interface TinyModelParts {
  /** Every tensor of the file. */
  readonly shapes: Shapes;
  /** Blocks of the decoder. */
  readonly layers: number;
  readonly tower: VisionTowerConfig;
  /** Scope of the tower, and names below it. */
  readonly vision: string;
  readonly names: VisionTowerNames;
  /** Full name of the projector's output layer. */
  readonly output: string;
  /** Values of tensors that the family treats in its own way; undefined for all others. */
  readonly special?: (...tensor: Parameters<TinyValues>) => Float32Array | undefined;
}

/** Standard deviation of what is neither weight nor bias of a layer: tokens and newlines. */
const TOKEN_DEVIATION = 0.02;

/**
 * Random weights that train from scratch. A constant bias of the first block lets the norms of the vision tower keep
 * brightness.
 */
export function tinyModelWeights(
  parts: TinyModelParts,
  { seed, projectorGain = 0.2, storedAs = 'F32' }: TinyModelOptions,
): TensorSources {
  const values = tinyWeights(parts.shapes, seed, valuesOf(parts, projectorGain));
  const source = ([name, data]: readonly [string, Float32Array]) =>
    [name, float32Source(data, parts.shapes[name]!, storedAs)] as const;
  return new Map([...values].map(source));
}

function valuesOf(
  { layers, tower, vision, names, output, special }: TinyModelParts,
  projectorGain: number,
): TinyValues {
  const ofDecoder = tinyDecoderValues(layers);
  const { projection, scale1, scale2 } = names.block;
  return (name, shape, random) => {
    const own = special?.(name, shape, random);
    if (own !== undefined) return own;
    const size = sizeOf(shape);
    if (name === `${vision}.${names.patch}.weight`) return tinyPatchFilters(tower, random);
    if (name === `${vision}.${names.blocks}.0.${projection}.bias`) return random.normals(size, 1);
    if (name === `${output}.weight`)
      return random.normals(size, projectorGain / Math.sqrt(shape[1]!));
    if ([scale1, scale2].some((scale) => name.endsWith(`.${scale}`)))
      return new Float32Array(size).fill(1);
    if (shape.length === 1 && !/(weight|bias)$/.test(name))
      return random.normals(size, TOKEN_DEVIATION);
    if (!name.startsWith(`${vision}.`)) return ofDecoder(name, shape, random);
    // What a block adds is known by its name in DINOv2.
    return tinyTowerValues(name.replace(`.${projection}.`, '.attn.proj.'), shape, random);
  };
}

/**
 * Reads a configuration whose sizes come from the caller, so that a misfit is wrong usage rather than a damaged file.
 * @param sizes which ones fit together, for the hint. @throws SpatialError USAGE.
 */
export function parseTinyConfig<Config>(
  config: JsonObject,
  parse: (config: JsonObject, where: string) => Config,
  sizes: string,
): Config {
  try {
    return parse(config, 'tiny checkpoint');
  } catch (cause) {
    if (!SpatialError.isInstance(cause)) throw cause;
    throw new SpatialError({
      code: 'USAGE',
      message: cause.message,
      hint: `Choose ${sizes}, and heads that are a multiple of the kv heads.`,
      cause,
    });
  }
}
