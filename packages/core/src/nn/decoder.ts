import { ops, type Tensor, tf } from '@spatialsv/engine';
import { SpatialError } from '../errors.js';
import type { BlockInputsV1, BlockOutputV1, DecoderLayerV1, DecoderV1 } from '../spec.js';
import { blockShapes, type DecoderConfig, type DecoderNames } from './decoder-config.js';
import { type ParameterScope, parameterScope } from './parameter-scope.js';
import { type RotaryTables, rotaryTables } from './rope.js';

/** Added to forbidden scores: its exponential is exactly 0 in float32, and it stays finite. */
const FORBIDDEN = -1e9;

/**
 * Causal decoder shared by all families: pre-norm blocks of grouped-query attention and SwiGLU.
 *
 * x ← x + o(attention(rope(q), rope(k), v)),  x ← x + down(silu(gate(n)) · up(n)),  n = RMSNorm(x).
 *
 * All blocks are of one kind.
 */
export function createDecoder(config: DecoderConfig, names: DecoderNames): DecoderV1 {
  const table = `${names.model}.embed_tokens.weight`;
  const norm = `${names.model}.norm.weight`;
  const head = config.tieHead ? table : names.head;
  const rotary = sharedTables(config);
  return {
    layers: decoderLayers(config, names),
    names: { embed: [table], finalNorm: [norm], logits: [head] },
    embed: (parameters, inputIds) =>
      tf.gather(parameterScope(parameters).get(table), inputIds as tf.Tensor1D),
    block: (_kind, parameters, x, inputs) =>
      decoderBlock(config, parameterScope(parameters), x, {
        ...attentionContext(config, x.shape[0]!, inputs),
        tables: rotary(inputs.positions),
      }),
    finalNorm: (parameters, x) =>
      ops.rmsNorm(x, parameterScope(parameters).get(norm, [config.hiddenSize]), config.rmsNormEps),
    logits: (parameters, hidden) => {
      const root = parameterScope(parameters);
      root.get(head, [config.vocabularySize, config.hiddenSize]);
      return root.linear(head.replace(/\.weight$/, ''), hidden);
    },
  };
}

function decoderLayers(config: DecoderConfig, names: DecoderNames): readonly DecoderLayerV1[] {
  const free = Object.keys(blockShapes(config));
  return Array.from({ length: config.layers }, (_, layer) => ({
    kind: 'block',
    names: Object.fromEntries(free.map((name) => [name, `${names.model}.layers.${layer}.${name}`])),
  }));
}

/** Rotary tables by positions: the blocks of one program share the nodes that compute them. */
function sharedTables(config: DecoderConfig): (positions: Tensor) => RotaryTables {
  const known = new WeakMap<Tensor, RotaryTables>();
  return (positions) => {
    const found = known.get(positions);
    // Tables that were made inside a scope that has ended since are gone.
    if (found !== undefined && !found.cos.isDisposed && !found.sin.isDisposed) return found;
    const tables = rotaryTables(config.rope, config.headDim, positions);
    known.set(positions, tables);
    return tables;
  };
}

interface AttentionContext extends Pick<BlockInputsV1, 'cache'> {
  readonly tables: RotaryTables;
  /** (T, S) additive; absent for a whole sequence, whose attention is plainly causal. */
  readonly mask?: Tensor;
  /** (T, capacity) 1 at the slot of each new token. */
  readonly slots?: Tensor;
}

function attentionContext(
  config: DecoderConfig,
  tokens: number,
  { cache, cacheSlot }: BlockInputsV1,
): Omit<AttentionContext, 'tables'> {
  if (cache === undefined || cacheSlot === undefined) {
    checkLength(config, tokens);
    return {};
  }
  const capacity = cache.keys.shape[1]!;
  checkLength(config, capacity);
  const rows = tf.add(arange(tokens, 0), cacheSlot); // (T, 1) slot of each new token
  const slots = tf.cast(tf.equal(rows, arange(capacity, 1)), 'float32');
  return { mask: causalMask(rows, capacity), cache, slots };
}

/** 0 … n−1 as a column (axis 0) or a row (axis 1), int32. */
function arange(n: number, axis: 0 | 1): Tensor {
  const values = Int32Array.from({ length: n }, (_, i) => i);
  return tf.tensor(values, axis === 0 ? [n, 1] : [1, n], 'int32');
}

/** (T, S): forbidden where the column lies after the row's own slot. */
function causalMask(rows: Tensor, columns: number): Tensor {
  return tf.mul(tf.cast(tf.greater(arange(columns, 1), rows), 'float32'), FORBIDDEN);
}

function checkLength(config: DecoderConfig, tokens: number): void {
  const scaling = config.rope.scaling;
  if (scaling?.kind !== 'dynamic' || tokens <= scaling.maxPositions) return;
  throw new SpatialError({
    code: 'CONFIG_INVALID',
    message: `sequence of ${tokens} tokens: expected at most ${scaling.maxPositions} with dynamic rope scaling`,
    hint: 'Use fewer or smaller views; longer sequences would need rescaled rotary frequencies.',
  });
}

function decoderBlock(
  config: DecoderConfig,
  block: ParameterScope,
  x: Tensor,
  context: AttentionContext,
): BlockOutputV1 {
  const norm = (name: string, y: Tensor) =>
    ops.rmsNorm(y, block.get(`${name}.weight`, [config.hiddenSize]), config.rmsNormEps);
  const attended = selfAttention(config, block, norm('input_layernorm', x), context);
  const middle = tf.add(x, attended.x);
  const n = norm('post_attention_layernorm', middle);
  return { ...attended, x: tf.add(middle, swiGlu(block.scope('mlp'), n)) };
}

function selfAttention(
  config: DecoderConfig,
  block: ParameterScope,
  x: Tensor,
  context: AttentionContext,
): BlockOutputV1 {
  const attention = block.scope('self_attn');
  const { cos, sin } = context.tables;
  const queries = ops.rotary(project(config, attention, 'q', x), cos, sin); // (heads, T, hd)
  const newKeys = ops.rotary(project(config, attention, 'k', x), cos, sin); // (kvHeads, T, hd)
  const newValues = project(config, attention, 'v', x);
  const keys = writeSlots(context.cache?.keys, newKeys, context.slots);
  const values = writeSlots(context.cache?.values, newValues, context.slots);
  const mixed = ops.attention(queries, keys, values, {
    scale: config.headDim ** -0.5,
    ...(context.mask === undefined ? { causal: true } : { mask: context.mask }),
  });
  const rows = tf.reshape(tf.transpose(mixed, [1, 0, 2]), [-1, config.heads * config.headDim]); // (T, heads·hd)
  return { x: attention.linear('o_proj', rows), keys, values };
}

/** q, k or v by heads: (T, C) → (heads, T, hd). */
function project(
  config: DecoderConfig,
  attention: ParameterScope,
  which: 'q' | 'k' | 'v',
  x: Tensor,
): Tensor {
  const heads = which === 'q' ? config.heads : config.kvHeads;
  const rows = attention.linear(`${which}_proj`, x);
  const byToken = tf.reshape(rows, [-1, heads, config.headDim]); // (T, heads, hd)
  const normed =
    config.qkNorm && which !== 'v'
      ? ops.rmsNorm(byToken, attention.get(`${which}_norm.weight`), config.rmsNormEps)
      : byToken;
  return tf.transpose(normed, [1, 0, 2]); // (heads, T, hd)
}

/**
 * New rows written into a cache of static capacity: old · (1 − Σₜ hotₜ) + hotᵀ · new.
 * @param old (kvHeads, capacity, hd). @param rows (kvHeads, T, hd). @param slots (T, capacity) one-hot.
 */
function writeSlots(old: Tensor | undefined, rows: Tensor, slots: Tensor | undefined): Tensor {
  if (old === undefined || slots === undefined) return rows;
  const [kvHeads, tokens, headDim] = rows.shape as [number, number, number];
  const capacity = old.shape[1]!;
  const column = tf.reshape(tf.sum(slots, 0), [capacity, 1]);
  const kept = tf.mul(old, tf.sub(1, column));
  if (tokens === 1) return tf.add(kept, tf.mul(column, rows)); // (capacity, 1) · (kvHeads, 1, hd)
  const flat = tf.reshape(tf.transpose(rows, [1, 0, 2]), [tokens, kvHeads * headDim]);
  const placed = tf.matMul(slots as tf.Tensor2D, flat as tf.Tensor2D, true, false);
  const byHead = tf.transpose(tf.reshape(placed, [capacity, kvHeads, headDim]), [1, 0, 2]);
  return tf.add(kept, byHead);
}

/** down(silu(gate(x)) · up(x)). */
function swiGlu(mlp: ParameterScope, x: Tensor): Tensor {
  const gate = ops.silu(mlp.linear('gate_proj', x));
  return mlp.linear('down_proj', tf.mul(gate, mlp.linear('up_proj', x)));
}
