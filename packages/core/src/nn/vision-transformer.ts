/**
 * Vision transformer (arXiv:2010.11929) in the form of DINOv2 (arXiv:2304.07193), with the additions that geometry models
 * make to it: q/k normalisation, and rotary positions in two dimensions. Tensor names are those of published checkpoints.
 */
import { ops, type Tensor, tf } from '@spatialsv/engine';
import type { ParameterScope } from './parameter-scope.js';
import type { RotaryTables } from './rope.js';

export interface VisionBlockConfig {
  readonly heads: number;
  /** ε of the two layer norms. */
  readonly epsilon: number;
  /** ε of the norms of queries and keys over a head's channels, for blocks that have them. */
  readonly qkNormEpsilon?: number;
  readonly mlp: 'gelu' | 'swiglu';
}

/**
 * One pre-norm block: x += γ₁ ⊙ attention(LN x), x += γ₂ ⊙ MLP(LN x). Blocks without `ls1.gamma` have γ = 1.
 * @param parameters scope that holds `norm1.weight`.
 * @param x (B, T, C): attention is within each of the B sequences.
 * @param rotary tables of {@link rotary2d} for the T tokens, for blocks with rotary positions.
 * @returns (B, T, C).
 * @throws SpatialError WEIGHT_MISSING naming the parameter.
 */
export function visionBlock(
  config: VisionBlockConfig,
  parameters: ParameterScope,
  x: Tensor,
  rotary?: RotaryTables,
): Tensor {
  const { queries, keys, values } = headsOf(config, parameters, x, rotary);
  const [heads, batch, tokens, headDim] = queries.shape as [number, number, number, number];
  const apart = (part: Tensor) => tf.reshape(part, [heads * batch, tokens, headDim]);
  const options = { scale: headDim ** -0.5 };
  const mixed = ops.attention(apart(queries), apart(keys), apart(values), options);
  return afterAttention(config, parameters, x, tf.reshape(mixed, queries.shape));
}

/**
 * The same block, with attention over the tokens of all sequences at once. What works token by token does so group by
 * group, so that what it reads and writes stays in the processor's cache.
 * @param groups (Bᵢ, T, C): together Σ Bᵢ·T tokens, in this order. @param rotary tables for the T tokens of one sequence.
 * @returns as `groups`.
 */
export function jointVisionBlock(
  config: VisionBlockConfig,
  parameters: ParameterScope,
  groups: readonly Tensor[],
  rotary?: RotaryTables,
): readonly Tensor[] {
  const parts = groups.map((x) => headsOf(config, parameters, x, rotary));
  const shapes = parts.map(({ queries }) => queries.shape as [number, number, number, number]);
  const [heads, , , headDim] = shapes[0]!;
  const lengths = shapes.map(([, batch, tokens]) => batch * tokens);
  const together = (name: keyof HeadParts) =>
    joined(
      parts.map((part, i) => tf.reshape(part[name], [heads, lengths[i]!, headDim])),
      1,
    );
  const options = { scale: headDim ** -0.5 };
  const mixed = ops.attention(together('queries'), together('keys'), together('values'), options);
  const ofGroups = groups.length === 1 ? [mixed] : (tf.split(mixed, lengths, 1) as Tensor[]);
  return groups.map((x, i) =>
    afterAttention(config, parameters, x, tf.reshape(ofGroups[i]!, shapes[i]!)),
  );
}

const joined = (parts: readonly Tensor[], axis: number): Tensor =>
  parts.length === 1 ? parts[0]! : tf.concat([...parts], axis);

/** Tokens with which a group fills the kernels and what it reads and writes still stays in the cache. */
const GROUP_TOKENS = 1280;
/** More groups make larger graphs, which take longer to compile. */
const MOST_GROUPS = 8;

/** Cuts views (V, T, C) into groups for {@link visionBlock} and {@link jointVisionBlock}. @returns (Bᵢ, T, C) in order. */
export function groupsOfViews(views: Tensor): readonly Tensor[] {
  const [count, tokens] = views.shape as [number, number, number];
  const perGroup = Math.max(1, Math.ceil(count / MOST_GROUPS), Math.floor(GROUP_TOKENS / tokens));
  if (perGroup >= count) return [views];
  const whole = Math.floor(count / perGroup);
  const sizes = [...Array<number>(whole).fill(perGroup), count - whole * perGroup];
  return tf.split(
    views,
    sizes.filter((size) => size > 0),
    0,
  ) as Tensor[];
}

/** (V, T, C) of groups. */
export const viewsOfGroups = (groups: readonly Tensor[]): Tensor => joined(groups, 0);

/** @param layer scope of `weight` and `bias` (C). @param x (…, C). */
export const layerNorm = (layer: ParameterScope, x: Tensor, epsilon: number): Tensor =>
  ops.layerNorm(x, layer.get('weight'), layer.get('bias'), epsilon);

/** y = x·Wᵀ + b. @param layer scope of `weight` (out, in) and `bias` (out). @param x (…, in). */
export const linearLayer = (layer: ParameterScope, x: Tensor): Tensor =>
  ops.linear(x, layer.get('weight'), layer.get('bias'));

const layerScale = (parameters: ParameterScope, name: string, x: Tensor): Tensor =>
  parameters.has(`${name}.gamma`) ? tf.mul(x, parameters.get(`${name}.gamma`)) : x;

/** (heads, B, T, C / heads) each. */
interface HeadParts {
  readonly queries: Tensor;
  readonly keys: Tensor;
  readonly values: Tensor;
}

/** Queries and keys, normalised and turned where the block does so, and values. */
function headsOf(
  { heads, epsilon, qkNormEpsilon }: VisionBlockConfig,
  parameters: ParameterScope,
  x: Tensor,
  rotary: RotaryTables | undefined,
): HeadParts {
  const [batch, tokens, channels] = x.shape as [number, number, number];
  const attention = parameters.scope('attn');
  const normed = layerNorm(parameters.scope('norm1'), x, epsilon);
  // Queries, keys and values are separate products of the rows of one weight: nothing has to be taken apart afterwards.
  const part = (index: number) => {
    const rows = linearRows(attention.scope('qkv'), normed, index * channels, channels);
    const apart = tf.reshape(rows, [batch, tokens, heads, channels / heads]);
    return tf.transpose(apart, [2, 0, 1, 3]);
  };
  const prepared = (index: number, name: string) => {
    const plain = part(index);
    const scaled =
      qkNormEpsilon === undefined ? plain : layerNorm(attention.scope(name), plain, qkNormEpsilon);
    return rotary === undefined ? scaled : rotate(scaled, rotary);
  };
  return { queries: prepared(0, 'q_norm'), keys: prepared(1, 'k_norm'), values: part(2) };
}

/** The rest of the block. @param mixed (heads, B, T, C / heads). */
function afterAttention(
  config: VisionBlockConfig,
  parameters: ParameterScope,
  x: Tensor,
  mixed: Tensor,
): Tensor {
  const merged = tf.reshape(tf.transpose(mixed, [1, 2, 0, 3]), x.shape);
  const projected = linearLayer(parameters.scope('attn.proj'), merged);
  const attended = tf.add(x, layerScale(parameters, 'ls1', projected));
  const normed = layerNorm(parameters.scope('norm2'), attended, config.epsilon);
  const expanded = mlp(config, parameters.scope('mlp'), normed);
  return tf.add(attended, layerScale(parameters, 'ls2', expanded));
}

/** The product with `count` rows of the weight, from `first` on. */
function linearRows(layer: ParameterScope, x: Tensor, first: number, count: number): Tensor {
  const weight = layer.get('weight');
  const rows = tf.slice(weight, [first, 0], [count, weight.shape[1]!]);
  return ops.linear(x, rows, tf.slice(layer.get('bias'), [first], [count]));
}

function mlp({ mlp: kind }: VisionBlockConfig, layers: ParameterScope, x: Tensor): Tensor {
  if (kind === 'gelu') {
    return linearLayer(layers.scope('fc2'), ops.gelu(linearLayer(layers.scope('fc1'), x)));
  }
  const [gate, value] = tf.split(linearLayer(layers.scope('w12'), x), 2, -1) as [Tensor, Tensor];
  return linearLayer(layers.scope('w3'), tf.mul(ops.silu(gate), value));
}

// ---------------------------------------------------------------------------------------------- positions

/**
 * Rotary tables in two dimensions: the first half of a head's channels turns by the row, the second by the column, each
 * with the frequencies base^(−2k/(D/2)), k = 0 … D/4−1.
 * @param positions (row, column) of T tokens, 2·T entries. @param headDim D, a multiple of 4.
 * @returns tables of 2·T rows and D/4 columns: row 2t turns the first half of token t, row 2t + 1 the second.
 * Source: VGGT (arXiv:2503.11651), vggt/layers/rope.py.
 */
export function rotary2d(
  positions: ArrayLike<number>,
  headDim: number,
  base: number,
): RotaryTables {
  const quarter = headDim / 4;
  const rows = positions.length;
  const cos = new Float32Array(rows * quarter);
  const sin = new Float32Array(rows * quarter);
  for (let row = 0; row < rows; row++) {
    for (let k = 0; k < quarter; k++) {
      const angle = positions[row]! * base ** (-k / quarter);
      cos[row * quarter + k] = Math.cos(angle);
      sin[row * quarter + k] = Math.sin(angle);
    }
  }
  return { cos: tf.tensor2d(cos, [rows, quarter]), sin: tf.tensor2d(sin, [rows, quarter]) };
}

/** Each half of a head's channels is a row of its own, so that plain rotation serves both axes. @param x (…, T, hd). */
function rotate(x: Tensor, { cos, sin }: RotaryTables): Tensor {
  const [tokens, headDim] = x.shape.slice(-2) as [number, number];
  const halves = tf.reshape(x, [-1, 2 * tokens, headDim / 2]);
  return tf.reshape(ops.rotary(halves, cos, sin), x.shape);
}

/** How a learnt position grid is brought to another size. */
export type PositionResampling =
  /** Antialiased bicubic, a = −0.5, to exactly the asked size. */
  | { readonly kind: 'antialiased' }
  /** Bicubic without antialiasing, a = −0.75, at the scale (size + offset) / grid. */
  | { readonly kind: 'offset'; readonly offset: number };

/**
 * Position embedding of h × w patches from a learnt square grid.
 * @param table (1, 1 + n², C): the class token's row, then the grid row by row.
 * @returns (h·w, C), without the class token; the table's own rows when the grid is n × n.
 */
export function resamplePositionEmbedding(
  table: Tensor,
  { h, w }: { readonly h: number; readonly w: number },
  method: PositionResampling,
): Tensor {
  const [, entries, channels] = table.shape as [number, number, number];
  const side = Math.round(Math.sqrt(entries - 1));
  const grid = tf.slice(table, [0, 1, 0], [1, side * side, channels]);
  if (h === side && w === side) return tf.reshape(grid, [h * w, channels]);
  const options =
    method.kind === 'antialiased'
      ? { antialias: true }
      : { scaleFactors: [(h + method.offset) / side, (w + method.offset) / side] as const };
  const sized = ops.resizeBicubic(tf.reshape(grid, [1, side, side, channels]), [h, w], options);
  return tf.reshape(sized, [h * w, channels]);
}

// ---------------------------------------------------------------------------------------------- patches

/**
 * Patch embedding: a convolution whose stride is its kernel, as one matrix product.
 * @param layer scope of `weight` (C, 3, p, p) and `bias` (C).
 * @param images (S, H, W, 3), H and W multiples of p. @returns (S, N, C), patches row by row.
 */
export function patchEmbedding(layer: ParameterScope, images: Tensor): Tensor {
  const weight = layer.get('weight');
  const [channels, colours, patch] = weight.shape as [number, number, number, number];
  const [views, height, width] = images.shape as [number, number, number, number];
  const [h, w] = [height / patch, width / patch];
  const cells = tf.reshape(images, [views, h, patch, w, patch * colours]);
  const perPatch = tf.transpose(cells, [0, 1, 3, 2, 4]); // (S, h, w, p, p·3)
  const patches = tf.reshape(perPatch, [views, h * w, patch * patch * colours]);
  const matrix = tf.reshape(tf.transpose(weight, [0, 2, 3, 1]), [channels, -1]);
  return ops.linear(patches, matrix, layer.get('bias'));
}
