import { ops, type Tensor, tf } from '@spatialsv/engine';
import { SpatialError } from '../errors.js';
import type { DecoderInputsV1, DecoderOutputV1, KeyValueCacheV1, Parameters } from '../spec.js';
import type { DecoderConfig, DecoderNames } from './decoder-config.js';
import { type ParameterScope, parameterScope } from './parameter-scope.js';
import { type RotaryTables, rotaryTables } from './rope.js';

/** Added to forbidden scores: its exponential is exactly 0 in float32, and it stays finite. */
const FORBIDDEN = -1e9;

export interface DecodeRequest {
  readonly taps: readonly number[];
  readonly last: boolean;
}

/**
 * Causal decoder shared by all families: pre-norm blocks of grouped-query attention and SwiGLU.
 *
 * x ← x + o(attention(rope(q), rope(k), v)),  x ← x + down(silu(gate(n)) · up(n)),  n = RMSNorm(x).
 *
 * Hidden states are indexed as in transformers: 0 = embeddings, k = after k blocks, L = after the final norm.
 * @throws SpatialError TAP_UNKNOWN for a tap outside 0 … L, WEIGHT_MISSING for an absent parameter.
 */
export function decode(
  config: DecoderConfig,
  names: DecoderNames,
  parameters: Parameters,
  inputs: DecoderInputsV1,
  request: DecodeRequest,
): DecoderOutputV1 {
  const depth = neededLayers(config, request);
  const model = parameterScope(parameters, names.model);
  const context = attentionContext(config, inputs);
  const taps = new Set(request.taps);
  const hidden: Record<number, Tensor> = {};
  const keys: Tensor[] = [];
  const values: Tensor[] = [];
  let x = inputs.embeddings;
  if (taps.has(0)) hidden[0] = x;
  for (let layer = 0; layer < depth; layer++) {
    const block = decoderBlock(config, model.scope(`layers.${layer}`), x, context, layer);
    x = block.x;
    keys.push(block.keys);
    values.push(block.values);
    if (taps.has(layer + 1) && layer + 1 < config.layers) hidden[layer + 1] = x;
  }
  const cache = { keys, values };
  if (depth < config.layers || !(request.last || taps.has(config.layers))) return { hidden, cache };
  const last = ops.rmsNorm(x, model.get('norm.weight', [config.hiddenSize]), config.rmsNormEps);
  if (taps.has(config.layers)) hidden[config.layers] = last;
  return request.last ? { hidden, last, cache } : { hidden, cache };
}

/** Number of blocks that the request needs. */
function neededLayers(config: DecoderConfig, request: DecodeRequest): number {
  for (const tap of request.taps) {
    if (Number.isInteger(tap) && tap >= 0 && tap <= config.layers) continue;
    throw new SpatialError({
      code: 'TAP_UNKNOWN',
      message: `layer ${tap}: expected an integer from 0 (embeddings) to ${config.layers} (after the final norm)`,
      hint: `This decoder has ${config.layers} layers; choose taps among 0 … ${config.layers}.`,
    });
  }
  return request.last ? config.layers : Math.max(0, ...request.taps);
}

interface AttentionContext {
  readonly tables: RotaryTables;
  /** (T, S) additive; absent for a whole sequence, whose attention is plainly causal. */
  readonly mask?: Tensor;
  readonly cache?: KeyValueCacheV1;
  /** (T, capacity) 1 at the slot of each new token. */
  readonly slots?: Tensor;
}

function attentionContext(config: DecoderConfig, inputs: DecoderInputsV1): AttentionContext {
  const tokens = inputs.embeddings.shape[0]!;
  const tables = rotaryTables(config.rope, config.headDim, inputs.positions);
  if (inputs.cache === undefined || inputs.cacheSlot === undefined) {
    checkLength(config, tokens);
    return { tables };
  }
  const capacity = inputs.cache.keys[0]!.shape[1]!;
  checkLength(config, capacity);
  const rows = tf.add(arange(tokens, 0), inputs.cacheSlot); // (T, 1) slot of each new token
  const slots = tf.cast(tf.equal(rows, arange(capacity, 1)), 'float32');
  return { tables, mask: causalMask(rows, capacity), cache: inputs.cache, slots };
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

interface BlockOutput {
  readonly x: Tensor;
  readonly keys: Tensor;
  readonly values: Tensor;
}

function decoderBlock(
  config: DecoderConfig,
  block: ParameterScope,
  x: Tensor,
  context: AttentionContext,
  layer: number,
): BlockOutput {
  const norm = (name: string, y: Tensor) =>
    ops.rmsNorm(y, block.get(`${name}.weight`, [config.hiddenSize]), config.rmsNormEps);
  const attended = selfAttention(config, block, norm('input_layernorm', x), context, layer);
  const middle = tf.add(x, attended.x);
  const n = norm('post_attention_layernorm', middle);
  return { ...attended, x: tf.add(middle, swiGlu(block.scope('mlp'), n)) };
}

function selfAttention(
  config: DecoderConfig,
  block: ParameterScope,
  x: Tensor,
  context: AttentionContext,
  layer: number,
): BlockOutput {
  const attention = block.scope('self_attn');
  const { cos, sin } = context.tables;
  const queries = ops.rotary(project(config, attention, 'q', x), cos, sin); // (heads, T, hd)
  const newKeys = ops.rotary(project(config, attention, 'k', x), cos, sin); // (kvHeads, T, hd)
  const newValues = project(config, attention, 'v', x);
  const keys = writeSlots(context.cache?.keys[layer], newKeys, context.slots);
  const values = writeSlots(context.cache?.values[layer], newValues, context.slots);
  const mixed = ops.attention(queries, keys, values, {
    scale: config.headDim ** -0.5,
    ...(context.mask === undefined ? { causal: true } : { mask: context.mask }),
  });
  const rows = tf.reshape(tf.transpose(mixed, [1, 0, 2]), [-1, config.heads * config.headDim]); // (T, heads·hd)
  return { x: ops.linear(rows, attention.get('o_proj.weight')), keys, values };
}

/** q, k or v by heads: (T, C) → (heads, T, hd). */
function project(
  config: DecoderConfig,
  attention: ParameterScope,
  which: 'q' | 'k' | 'v',
  x: Tensor,
): Tensor {
  const heads = which === 'q' ? config.heads : config.kvHeads;
  const bias = config.qkvBias ? attention.get(`${which}_proj.bias`) : undefined;
  const rows = ops.linear(x, attention.get(`${which}_proj.weight`), bias);
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

/** down(silu(gate(x)) · up(x)), without biases. */
function swiGlu(mlp: ParameterScope, x: Tensor): Tensor {
  const gate = ops.silu(ops.linear(x, mlp.get('gate_proj.weight')));
  const up = ops.linear(x, mlp.get('up_proj.weight'));
  return ops.linear(tf.mul(gate, up), mlp.get('down_proj.weight'));
}

/**
 * Token embeddings, with the rows at image placeholders taken from the visual rows.
 * @param inputIds (T) int32. @param spliceIndex (T) int32: i for text token i, T + k for visual row k.
 * @param visualRows (N, C).
 * @returns (T, C).
 */
export function embedTokens(
  names: DecoderNames,
  parameters: Parameters,
  inputIds: Tensor,
  spliceIndex?: Tensor,
  visualRows?: Tensor,
): Tensor {
  const table = parameterScope(parameters, names.model).get('embed_tokens.weight');
  const text = tf.gather(table, inputIds as tf.Tensor1D);
  if (spliceIndex === undefined || visualRows === undefined) return text;
  return tf.gather(tf.concat([text, visualRows], 0), spliceIndex as tf.Tensor1D);
}

/**
 * Logits over the vocabulary.
 * @param hidden (n, C) after the final norm.
 * @returns (n, K).
 */
export function decoderLogits(
  config: DecoderConfig,
  names: DecoderNames,
  parameters: Parameters,
  hidden: Tensor,
): Tensor {
  const root = parameterScope(parameters);
  const name = config.tieHead ? `${names.model}.embed_tokens.weight` : names.head;
  return ops.linear(hidden, root.get(name, [config.vocabularySize, config.hiddenSize]));
}
