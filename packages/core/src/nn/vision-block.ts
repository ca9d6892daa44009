/**
 * The block of a vision transformer (arXiv:2010.11929): attention within sequences, over several sequences at once, or
 * within segments of a sequence.
 */
import { ops, type Tensor, tf } from '@spatialsv/engine';
import type { ParameterScope } from './parameter-scope.js';
import type { RotaryTables } from './rope.js';
import { DINO_NAMES, type VisionBlockConfig, type VisionBlockNames } from './vision-config.js';
import { activate, normalise } from './vision-layers.js';
import { rotate } from './vision-positions.js';

/** `count` stretches of `tokens` tokens each, one after the other. */
export interface Segment {
  readonly count: number;
  readonly tokens: number;
}

export interface VisionBlockOptions {
  /** Names of the block's tensors; those of DINOv2 where absent. */
  readonly names?: VisionBlockNames;
  /** Tables of `rotary2d` for the T tokens of a sequence, for blocks with rotary positions. */
  readonly rotary?: RotaryTables | undefined;
  /** Stretches of the B·T tokens that attend each to itself; whole sequences where absent. */
  readonly segments?: readonly Segment[] | undefined;
}

/**
 * One pre-norm block: x += γ₁ ⊙ attention(norm x), x += γ₂ ⊙ MLP(norm x); γ = 1 without layer scale.
 * @param parameters scope of the block, for example `blocks.0`.
 * @param x (B, T, C): attention is within each of the B sequences, or within segments.
 * @returns (B, T, C).
 * @throws SpatialError WEIGHT_MISSING naming the parameter.
 */
export function visionBlock(
  config: VisionBlockConfig,
  parameters: ParameterScope,
  x: Tensor,
  options: VisionBlockOptions = {},
): Tensor {
  const block = { config, parameters, names: options.names ?? DINO_NAMES.block };
  const parts = headsOf(block, x, options.rotary);
  const [, batch, tokens] = parts.queries.shape as [number, number, number, number];
  const segments = options.segments ?? [{ count: batch, tokens }];
  return afterAttention(block, x, attendBySegment(parts, segments));
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
  { rotary, names = DINO_NAMES.block }: Omit<VisionBlockOptions, 'segments'> = {},
): readonly Tensor[] {
  const block = { config, parameters, names };
  const parts = groups.map((x) => headsOf(block, x, rotary));
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
  return groups.map((x, i) => afterAttention(block, x, tf.reshape(ofGroups[i]!, shapes[i]!)));
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

interface Block {
  readonly config: VisionBlockConfig;
  readonly parameters: ParameterScope;
  readonly names: VisionBlockNames;
}

/** (heads, B, T, C / heads) each. */
interface HeadParts {
  readonly queries: Tensor;
  readonly keys: Tensor;
  readonly values: Tensor;
}

/** Queries and keys, normalised and turned where the block does so, and values. */
function headsOf(block: Block, x: Tensor, rotary: RotaryTables | undefined): HeadParts {
  const { config, parameters, names } = block;
  const normed = normalise(config.norm, parameters.scope(names.norm1), x);
  const prepared = (which: 'q' | 'k', norm: string) => {
    const plain = headRows(block, which, normed);
    const { qkNorm } = config;
    const scaled = qkNorm ? normalise(qkNorm, parameters.scope(norm), plain) : plain;
    return rotary === undefined ? scaled : rotate(scaled, rotary);
  };
  return {
    queries: prepared('q', names.qNorm),
    keys: prepared('k', names.kNorm),
    values: headRows(block, 'v', normed),
  };
}

/** Queries, keys or values, (B, T, C) → (heads, B, T, C / heads). */
function headRows({ config, parameters, names }: Block, which: 'q' | 'k' | 'v', x: Tensor): Tensor {
  const { heads, width } = config;
  const [batch, tokens] = x.shape as [number, number, number];
  const { qkv } = names;
  // The rows of one weight are products of their own as well: nothing has to be taken apart afterwards.
  const rows =
    typeof qkv === 'string'
      ? parameters.linear(qkv, x, { first: 'qkv'.indexOf(which) * width, count: width })
      : parameters.linear(qkv[which], x);
  return tf.transpose(tf.reshape(rows, [batch, tokens, heads, width / heads]), [2, 0, 1, 3]);
}

/** Segments of one size are one batch. @returns as the queries, (heads, B, T, C / heads). */
function attendBySegment(
  { queries, keys, values }: HeadParts,
  segments: readonly Segment[],
): Tensor {
  const [heads, batch, tokens, headDim] = queries.shape as [number, number, number, number];
  let start = 0;
  const outputs = segments.map(({ count, tokens: length }) => {
    const cut = (x: Tensor) => {
      const rows = segments.length === 1 ? x : rowsOf(x, start, count * length);
      return tf.reshape(rows, [heads * count, length, headDim]);
    };
    const rowsOf = (x: Tensor, first: number, size: number) => {
      const sequence = tf.reshape(x, [heads, batch * tokens, headDim]);
      return tf.slice(sequence, [0, first, 0], [heads, size, headDim]);
    };
    const mixed = ops.attention(cut(queries), cut(keys), cut(values), { scale: headDim ** -0.5 });
    start += count * length;
    return tf.reshape(mixed, [heads, count * length, headDim]);
  });
  return tf.reshape(joined(outputs, 1), queries.shape);
}

/** The rest of the block. @param mixed (heads, B, T, C / heads). */
function afterAttention({ config, parameters, names }: Block, x: Tensor, mixed: Tensor): Tensor {
  const scaled = (name: string, y: Tensor) =>
    config.layerScale ? tf.mul(y, parameters.get(name)) : y;
  const merged = tf.reshape(tf.transpose(mixed, [1, 2, 0, 3]), x.shape);
  const projected = parameters.linear(names.projection, merged);
  const attended = tf.add(x, scaled(names.scale1, projected));
  return byRows(attended, (rows) => {
    const normed = normalise(config.norm, parameters.scope(names.norm2), rows);
    return tf.add(rows, scaled(names.scale2, mlp(config.mlp, names.mlp, parameters, normed)));
  });
}

/** What works token by token, group by group where there are many tokens: what is wider than a token is then never whole. */
function byRows(x: Tensor, work: (rows: Tensor) => Tensor): Tensor {
  const [batch, tokens, width] = x.shape as [number, number, number];
  const rows = batch * tokens;
  const groups = Math.round(rows / GROUP_TOKENS);
  if (groups < 2) return work(x);
  const edges = Array.from({ length: groups + 1 }, (_, i) => Math.round((i * rows) / groups));
  const sizes = edges.slice(1).map((edge, i) => edge - edges[i]!);
  const parts = tf.split(tf.reshape(x, [1, rows, width]), sizes, 1) as Tensor[];
  return tf.reshape(joined(parts.map(work), 1), x.shape);
}

function mlp(
  { activation, gated }: VisionBlockConfig['mlp'],
  names: VisionBlockNames['mlp'],
  parameters: ParameterScope,
  x: Tensor,
): Tensor {
  const up = parameters.linear(names.up, x);
  if (!gated) return parameters.linear(names.down, activate(activation, up));
  const [gate, value] =
    names.gate === undefined
      ? (tf.split(up, 2, -1) as [Tensor, Tensor])
      : [parameters.linear(names.gate, x), up];
  return parameters.linear(names.down, tf.mul(activate(activation, gate), value));
}
