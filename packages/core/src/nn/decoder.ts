import { ops, type Tensor, tf } from '@spatialsv/engine';
import { SpatialError } from '../errors.js';
import type {
  BlockInputsV1,
  BlockOutputV1,
  DecoderLayerV1,
  DecoderV1,
  LayerCacheV1,
} from '../spec.js';
import { FORBIDDEN, placeRows } from './cache-rows.js';
import { blockShapes, type DecoderConfig, type DecoderNames } from './decoder-config.js';
import { type ParameterScope, parameterScope } from './parameter-scope.js';
import { type RotaryTables, rotaryTables } from './rope.js';

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
    takesSlots: true,
    separatesSegments: true,
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

interface AttentionContext extends Pick<BlockInputsV1, 'cache' | 'slots' | 'mask'> {
  readonly tables: RotaryTables;
}

/** A whole sequence, whose attention is causal, inside of its segments where it has any; or a cache, the slot of each new token, and what each sees. */
function attentionContext(
  config: DecoderConfig,
  tokens: number,
  { cache, cacheSlot, slots, mask, segments }: BlockInputsV1,
): Omit<AttentionContext, 'tables'> {
  if (cache !== undefined && slots !== undefined && mask !== undefined)
    return { cache, slots, mask };
  if (cache === undefined || cacheSlot === undefined) {
    checkLength(config, tokens);
    return segments === undefined ? {} : { mask: segmentMask(segments) };
  }
  const capacity = cache.keys.shape[1]!;
  checkLength(config, capacity);
  const rows = tf.add(arange(tokens, 0), cacheSlot); // (T, 1) slot of each new token
  return { cache, slots: tf.reshape(rows, [tokens]), mask: slotMask(rows, capacity) };
}

/** 0 … n−1 as a column (axis 0) or a row (axis 1), int32. */
function arange(n: number, axis: 0 | 1): Tensor {
  const values = Int32Array.from({ length: n }, (_, i) => i);
  return tf.tensor(values, axis === 0 ? [n, 1] : [1, n], 'int32');
}

/** (T, S): forbidden where the column lies after the row's own slot. */
function slotMask(rows: Tensor, columns: number): Tensor {
  return tf.mul(tf.cast(tf.greater(arange(columns, 1), rows), 'float32'), FORBIDDEN);
}

/** (T, T): forbidden between tokens of different sequences. */
function segmentMask(segments: Tensor): Tensor {
  const tokens = segments.shape[0]!;
  const [rows, columns] = [tf.reshape(segments, [tokens, 1]), tf.reshape(segments, [1, tokens])];
  return tf.mul(tf.cast(tf.notEqual(rows, columns), 'float32'), FORBIDDEN);
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
  const { keys, values } = placed({ keys: newKeys, values: newValues }, context);
  const mixed = ops.attention(queries, keys, values, {
    scale: config.headDim ** -0.5,
    causal: context.cache === undefined,
    mask: context.mask,
  });
  const rows = tf.reshape(tf.transpose(mixed, [1, 0, 2]), [-1, config.heads * config.headDim]); // (T, heads·hd)
  return { x: attention.linear('o_proj', rows), keys, values };
}

/** Keys and values of a whole sequence, or the cache with those of the new tokens in it. */
function placed({ keys, values }: LayerCacheV1, { cache, slots }: AttentionContext): LayerCacheV1 {
  if (cache === undefined || slots === undefined) return { keys, values };
  return {
    keys: placeRows(cache.keys, keys, slots),
    values: placeRows(cache.values, values, slots),
  };
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

/** down(silu(gate(x)) · up(x)). */
function swiGlu(mlp: ParameterScope, x: Tensor): Tensor {
  const gate = ops.silu(mlp.linear('gate_proj', x));
  return mlp.linear('down_proj', tf.mul(gate, mlp.linear('up_proj', x)));
}
