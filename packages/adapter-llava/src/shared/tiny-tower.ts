/** Small vision towers and what tiny checkpoints of the two models share. */
import {
  type JsonObject,
  type Shapes,
  type TinyValues,
  tinyDecoderValues,
  tinyPatchFilters,
  tinyTowerValues,
  tinyWeights,
  type VisionTowerConfig,
} from '@spatialsv/core/kit';
import { SpatialError, type TinyCheckpointOptions } from '@spatialsv/core/spec';

export interface TinyTowerOptions {
  /** Blocks of the checkpoint; the last one never runs. */
  readonly depth?: number;
  readonly hiddenSize?: number;
  readonly intermediateSize?: number;
  readonly heads?: number;
  /** Side of a frame in pixels. */
  readonly imageSize?: number;
}

/** What can be chosen beside the options that all families share. */
export interface NextVideoTinyOptions extends TinyCheckpointOptions {
  readonly kvHeads?: number;
  readonly intermediateSize?: number;
  readonly storedAs?: 'F32' | 'BF16';
  /** Upper bound on learnt tokens. Default 1500. */
  readonly maxMerges?: number;
  readonly vision?: TinyTowerOptions;
  /** Size of the projector's output weights, 0.2 by default. */
  readonly projectorGain?: number;
}

/** Sizes in the keys of transformers' classes. @param imageSize of a frame, where the options say nothing. */
export function tinyTower(options: TinyTowerOptions, imageSize: number): JsonObject {
  const hidden = options.hiddenSize ?? 96;
  return {
    hidden_size: hidden,
    image_size: options.imageSize ?? imageSize,
    intermediate_size: options.intermediateSize ?? 2 * hidden,
    num_attention_heads: options.heads ?? 4,
    num_hidden_layers: options.depth ?? 4,
    patch_size: 14,
  };
}

/** Sizes of the decoder in the keys of transformers' classes. */
export function tinyDecoder(options: NextVideoTinyOptions, vocabularySize: number): JsonObject {
  const hidden = options.hiddenSize ?? 128;
  return {
    hidden_act: 'silu',
    hidden_size: hidden,
    intermediate_size: options.intermediateSize ?? 3 * hidden,
    max_position_embeddings: 4096,
    num_attention_heads: options.heads ?? 4,
    num_hidden_layers: options.layers ?? 6,
    vocab_size: Math.ceil(vocabularySize / 8) * 8,
  };
}

interface TinyParts {
  readonly shapes: Shapes;
  readonly tower: VisionTowerConfig;
  readonly layers: number;
  /** Scope of the vision tower. */
  readonly vision: string;
  /** Second layer of the projector. */
  readonly output: string;
}

/**
 * Random weights that train from scratch. A constant bias of the first block lets the norms of the vision tower keep
 * brightness.
 */
export function tinyVideoWeights(
  { shapes, tower, layers, vision, output }: TinyParts,
  { seed, projectorGain = 0.2 }: NextVideoTinyOptions,
): ReadonlyMap<string, Float32Array> {
  const ofDecoder = tinyDecoderValues(layers);
  const valuesOf: TinyValues = (name, shape, random) => {
    const size = shape.reduce((product, side) => product * side, 1);
    if (name === `${vision}.embeddings.patch_embedding.weight`)
      return tinyPatchFilters(tower, random);
    if (name === `${vision}.encoder.layers.0.self_attn.out_proj.bias`)
      return random.normals(size, 1);
    if (name === `${output}.weight`)
      return random.normals(size, projectorGain / Math.sqrt(shape[1]!));
    if (shape.length === 1 && !/(weight|bias)$/.test(name)) return random.normals(size, 0.02);
    return (name.startsWith(`${vision}.`) ? tinyTowerValues : ofDecoder)(name, shape, random);
  };
  return tinyWeights(shapes, seed, valuesOf);
}

/** Sizes come from the caller here, so a misfit is wrong usage rather than a damaged file. */
export function ofUsage<Value>(parse: () => Value): Value {
  try {
    return parse();
  } catch (cause) {
    if (!SpatialError.isInstance(cause)) throw cause;
    throw new SpatialError({
      code: 'USAGE',
      message: cause.message,
      hint: 'Choose a hidden size that is an even multiple of the heads, and heads that are a multiple of the kv heads.',
      cause,
    });
  }
}
