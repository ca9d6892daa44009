/** What distinguishes the vision transformers of all supported models: sizes and forms, and the names of their tensors. */

/** `layer`: mean and variance, weight and bias. `rms`: root mean square, weight only. */
export interface NormConfig {
  readonly kind: 'layer' | 'rms';
  readonly epsilon: number;
}

/** `gelu` is the exact one, `gelu-tanh` its approximation by tanh, `quick-gelu` x·σ(1.702 x), `silu` x·σ(x). */
export type Activation = 'gelu' | 'gelu-tanh' | 'quick-gelu' | 'silu';

/** One pre-norm block. */
export interface VisionBlockConfig {
  /** C: channels of a token. */
  readonly width: number;
  readonly heads: number;
  /** The two norms of the block. */
  readonly norm: NormConfig;
  /** Queries, keys and values have biases; the projection and the MLP always do. */
  readonly qkvBias: boolean;
  /** Norm of queries and keys over a head's channels, for blocks that have it. */
  readonly qkNorm?: NormConfig;
  /** Both residuals are scaled channel by channel. */
  readonly layerScale: boolean;
  readonly mlp: {
    /** Channels between the two layers; of each half, for a gated one. */
    readonly hidden: number;
    readonly activation: Activation;
    /** down(activation(gate(x)) ⊙ up(x)) instead of down(activation(up(x))). */
    readonly gated: boolean;
  };
}

export interface VisionTowerConfig extends VisionBlockConfig {
  /** Blocks of the checkpoint. */
  readonly depth: number;
  readonly patch: {
    /** Side in pixels. */
    readonly size: number;
    readonly channels: number;
    /** Images that one patch spans; absent where the weight has no such dimension. */
    readonly frames?: number;
    readonly bias: boolean;
  };
  /**
   * Patches given one by one come in cells of `cellSide` × `cellSide`, cells row by row; 1, plain row by row, where
   * absent.
   */
  readonly cellSide?: number;
  /** A learnt token before the patches. With `angles` it has learnt rotary angles, else the position (0, 0). */
  readonly classToken?: { readonly angles: boolean };
  /** Learnt tokens between the class token and the patches. */
  readonly registers?: number;
  /** Learnt positions of `side` × `side` patches, and of the class token, before the patches, where there is one. */
  readonly positions?: { readonly side: number; readonly resampling: PositionResampling };
  /** Rotary positions in two dimensions; patches count from (0, 0). */
  readonly rotary?: VisionRotaryConfig;
  /** Norm of what enters the first block. */
  readonly preNorm?: NormConfig;
  /** Norm of what leaves the last block. */
  readonly postNorm?: NormConfig;
  /** Attention inside windows of `side` × `side` cells, save in the `wholeBlocks`. Not with special tokens. */
  readonly windows?: { readonly side: number; readonly wholeBlocks: readonly number[] };
}

/**
 * `halves`: the first half of a head's channels turns by the row, the second by the column, each half against half.
 * `head`: a quarter of the head's channels by the row, a quarter by the column, the head half against half.
 */
export interface VisionRotaryConfig {
  readonly base: number;
  readonly form: 'halves' | 'head';
}

/** How a learnt position grid is brought to another size. */
export type PositionResampling =
  /** Antialiased bicubic, a = −0.5, to exactly the asked size. */
  | { readonly kind: 'antialiased' }
  /** Bicubic without antialiasing, a = −0.75, at the scale (size + offset) / grid. */
  | { readonly kind: 'offset'; readonly offset: number };

/** Names of one block's tensors inside the block: layers without `.weight` and `.bias`, scales in full. */
export interface VisionBlockNames {
  readonly norm1: string;
  /** One layer with the rows q | k | v, or three layers. */
  readonly qkv: string | { readonly q: string; readonly k: string; readonly v: string };
  readonly qNorm: string;
  readonly kNorm: string;
  readonly projection: string;
  readonly scale1: string;
  readonly norm2: string;
  /** A gated MLP without `gate` has the rows gate | up in `up`. */
  readonly mlp: { readonly gate?: string; readonly up: string; readonly down: string };
  readonly scale2: string;
}

/** A learnt table in full, with the number of its dimensions: leading ones are 1. */
export interface TableName {
  readonly name: string;
  readonly rank: number;
}

/** Names of a tower's tensors below its scope. Those of parts that a configuration leaves out are not looked up. */
export interface VisionTowerNames {
  readonly patch: string;
  readonly classToken: TableName;
  readonly classAngles: TableName;
  readonly registers: TableName;
  readonly positions: TableName;
  readonly preNorm: string;
  readonly postNorm: string;
  /** `blocks` of `blocks.0.norm1.weight`. */
  readonly blocks: string;
  readonly block: VisionBlockNames;
}

/** Names of DINOv2, which others vary. */
export const DINO_NAMES: VisionTowerNames = {
  patch: 'patch_embed.proj',
  classToken: { name: 'cls_token', rank: 3 },
  classAngles: { name: 'cls_angles', rank: 2 },
  registers: { name: 'register_tokens', rank: 3 },
  positions: { name: 'pos_embed', rank: 3 },
  preNorm: 'pre_norm',
  postNorm: 'norm',
  blocks: 'blocks',
  block: {
    norm1: 'norm1',
    qkv: 'attn.qkv',
    qNorm: 'attn.q_norm',
    kNorm: 'attn.k_norm',
    projection: 'attn.proj',
    scale1: 'ls1.gamma',
    norm2: 'norm2',
    mlp: { up: 'mlp.fc1', down: 'mlp.fc2' },
    scale2: 'ls2.gamma',
  },
};

/** Names that transformers gives the tensors of CLIP, SigLIP and RICE. */
export const CLIP_NAMES: VisionTowerNames = {
  ...DINO_NAMES,
  patch: 'embeddings.patch_embedding',
  classToken: { name: 'embeddings.class_embedding', rank: 1 },
  classAngles: { name: 'class_pos_emb', rank: 2 },
  positions: { name: 'embeddings.position_embedding.weight', rank: 2 },
  preNorm: 'pre_layrnorm',
  postNorm: 'post_layernorm',
  blocks: 'encoder.layers',
  block: {
    ...DINO_NAMES.block,
    norm1: 'layer_norm1',
    qkv: { q: 'self_attn.q_proj', k: 'self_attn.k_proj', v: 'self_attn.v_proj' },
    projection: 'self_attn.out_proj',
    norm2: 'layer_norm2',
  },
};

/** A block of DINOv2: layer norms, layer scale, biases, exact GELU and an MLP of four times the width. */
export const dinoBlock = (width: number, heads: number, epsilon: number): VisionBlockConfig => ({
  width,
  heads,
  norm: { kind: 'layer', epsilon },
  qkvBias: true,
  layerScale: true,
  mlp: { hidden: 4 * width, activation: 'gelu', gated: false },
});

export type Shape = readonly number[];
/** Shapes by name. */
export type Shapes = Readonly<Record<string, Shape>>;

/** The same tensors below a path. */
export const shapesBelow = (path: string, shapes: Shapes): Shapes =>
  Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [`${path}.${name}`, shape]));

/** Weight, whose first dimension is that of the outputs, and bias of a layer. */
export const layerShapes = (name: string, weight: Shape, bias = true): Shapes => ({
  [`${name}.weight`]: weight,
  ...(bias ? { [`${name}.bias`]: [weight[0]!] } : {}),
});

/** Every tensor of a tower with its shape, by its name below the tower's scope. Linear weights are (out, in). */
export function towerShapes(config: VisionTowerConfig, names = DINO_NAMES): Shapes {
  const block = visionBlockShapes(config, names.block);
  const blocks = Array.from({ length: config.depth }, (_, i) =>
    shapesBelow(`${names.blocks}.${i}`, block),
  );
  return Object.assign(
    {},
    tokenShapes(config, names),
    patchShapes(config, names),
    config.preNorm && normShapes(names.preNorm, config.width, config.preNorm),
    ...blocks,
    config.postNorm && normShapes(names.postNorm, config.width, config.postNorm),
  );
}

function tokenShapes(config: VisionTowerConfig, names: VisionTowerNames): Shapes {
  const { width, heads, classToken, positions, registers } = config;
  const special = classToken ? 1 : 0;
  return {
    ...(classToken ? tableShape(names.classToken, width) : {}),
    ...(classToken?.angles ? tableShape(names.classAngles, width / heads / 2) : {}),
    ...(positions ? tableShape(names.positions, special + positions.side ** 2, width) : {}),
    ...(registers ? tableShape(names.registers, registers, width) : {}),
  };
}

const tableShape = ({ name, rank }: TableName, ...sizes: readonly number[]): Shapes => ({
  [name]: [...Array<number>(rank - sizes.length).fill(1), ...sizes],
});

function patchShapes({ width, patch }: VisionTowerConfig, names: VisionTowerNames): Shapes {
  const { size, channels, frames, bias } = patch;
  const depth = frames === undefined ? [] : [frames];
  return layerShapes(names.patch, [width, channels, ...depth, size, size], bias);
}

/** Tensors of one block by their name inside the block. */
export function visionBlockShapes(
  config: VisionBlockConfig,
  names: VisionBlockNames = DINO_NAMES.block,
): Shapes {
  const { width, heads, norm, qkNorm, layerScale } = config;
  const ofHeads = qkNorm && {
    ...normShapes(names.qNorm, width / heads, qkNorm),
    ...normShapes(names.kNorm, width / heads, qkNorm),
  };
  return {
    ...normShapes(names.norm1, width, norm),
    ...qkvShapes(config, names),
    ...ofHeads,
    ...layerShapes(names.projection, [width, width]),
    ...(layerScale ? { [names.scale1]: [width] } : {}),
    ...normShapes(names.norm2, width, norm),
    ...mlpShapes(config, names),
    ...(layerScale ? { [names.scale2]: [width] } : {}),
  };
}

export const normShapes = (name: string, width: number, { kind }: Pick<NormConfig, 'kind'>) =>
  layerShapes(name, [width], kind === 'layer');

function qkvShapes({ width, qkvBias }: VisionBlockConfig, { qkv }: VisionBlockNames): Shapes {
  if (typeof qkv === 'string') return layerShapes(qkv, [3 * width, width], qkvBias);
  const layers = [qkv.q, qkv.k, qkv.v].map((name) => layerShapes(name, [width, width], qkvBias));
  return Object.assign({}, ...layers);
}

function mlpShapes({ width, mlp }: VisionBlockConfig, { mlp: names }: VisionBlockNames): Shapes {
  const isFused = mlp.gated && names.gate === undefined;
  return {
    ...(mlp.gated && names.gate !== undefined ? layerShapes(names.gate, [mlp.hidden, width]) : {}),
    ...layerShapes(names.up, [(isFused ? 2 : 1) * mlp.hidden, width]),
    ...layerShapes(names.down, [width, mlp.hidden]),
  };
}
