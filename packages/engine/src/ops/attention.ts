import { EngineError } from '../errors.js';
import { type Tensor, tf } from '../tfjs.js';
import { fused, runKernel } from './fused.js';

export interface AttentionOptions {
  /** Factor on the scores, normally hd^(−1/2). */
  readonly scale: number;
  /**
   * Additive float32, 0 where attention is allowed, a large negative number elsewhere: (T, S), or (heads, T, S); axes of
   * size 1 stand for all.
   */
  readonly mask?: Tensor | undefined;
  /** Query i sees keys 0 … i + S − T, S ≥ T; tiles above the diagonal are not computed. A mask is added to that. */
  readonly causal?: boolean | undefined;
}

/**
 * Scaled dot-product attention with grouped keys and values (query head j reads key/value head ⌊j / (heads / kvHeads)⌋).
 * @param queries (heads, T, hd) float32. @param keys (kvHeads, S, hd). @param values (kvHeads, S, vd).
 * @returns (heads, T, vd) float32.
 * @throws EngineError PROGRAM_INVALID for shapes that do not fit.
 */
export function attention(
  queries: Tensor,
  keys: Tensor,
  values: Tensor,
  options: AttentionOptions,
): Tensor {
  const { scale, causal = false } = options;
  assertFits(queries, keys, values, options);
  const compose = () => composedAttention(queries, keys, values, options);
  const inputs = { queries, keys, values };
  if (options.mask === undefined) return fused('Attention', inputs, { scale, causal }, compose);
  return fused('MaskedAttention', { ...inputs, mask: options.mask }, { scale, causal }, compose);
}

function composedAttention(
  queries: Tensor,
  keys: Tensor,
  values: Tensor,
  { scale, mask, causal }: AttentionOptions,
): Tensor {
  const [heads, rows, headDim] = queries.shape as [number, number, number];
  const [kvHeads, columns] = keys.shape as [number, number, number];
  const valueDim = values.shape[2]!;
  const groups = heads / kvHeads;
  const grouped = tf.reshape(queries, [kvHeads, groups * rows, headDim]) as tf.Tensor3D;
  const products = tf.matMul(grouped, keys as tf.Tensor3D, false, true);
  let scores: Tensor = tf.reshape(tf.mul(products, scale), [heads, rows, columns]);
  if (mask !== undefined) scores = tf.add(scores, mask);
  if (causal) scores = tf.add(scores, tf.tensor2d(causalMask(rows, columns, 0), [rows, columns]));
  const weights = tf.reshape(tf.softmax(scores, -1), [kvHeads, groups * rows, columns]);
  const mixed = tf.matMul(weights as tf.Tensor3D, values as tf.Tensor3D);
  return tf.reshape(mixed, [heads, rows, valueDim]);
}

function assertFits(
  queries: Tensor,
  keys: Tensor,
  values: Tensor,
  { mask, causal = false }: AttentionOptions,
): void {
  const [heads, rows, width] = queries.shape as [number, number, number];
  const [kvHeads, columns, keyWidth] = keys.shape as [number, number, number];
  const places = [heads, rows, columns].slice(mask?.rank === 2 ? 1 : 0);
  const masks = mask?.shape.every((n, i) => n === 1 || n === places[i]) ?? true;
  const pairs = values.shape[0] === kvHeads && values.shape[1] === columns && width === keyWidth;
  const isRanked = (mask === undefined || mask.rank === 2 || mask.rank === 3) && values.rank === 3;
  if (isRanked && masks && pairs && heads % kvHeads === 0 && (!causal || columns >= rows)) return;
  const shapes = [queries, keys, values, ...(mask ? [mask] : [])];
  const found = shapes.map(({ shape }) => `(${shape.join(', ')})`).join(', ');
  throw new EngineError({
    code: 'PROGRAM_INVALID',
    message: `attention: expected queries (heads, T, hd), keys (kvHeads, S, hd), values (kvHeads, S, vd)${mask ? ', mask (T, S)' : ''}${causal ? ' with S ≥ T' : ''}, found ${found}.`,
    hint: 'kvHeads divides heads; axes of a mask may be 1, and a mask may have an axis of heads before the others.',
  });
}

/** Additive mask (rows, columns): row i sees columns 0 … i + columns − rows + shift. */
export function causalMask(rows: number, columns: number, shift: number): Float32Array {
  const mask = new Float32Array(rows * columns);
  const lead = columns - rows + shift;
  for (let i = 0; i < rows; i += 1) {
    mask.fill(-1e30, Math.min(columns, i + lead + 1) + i * columns, (i + 1) * columns);
  }
  return mask;
}

const INPUTS = ['queries', 'keys', 'values'];

for (const [kernelName, inputsToSave] of [
  ['Attention', INPUTS],
  ['MaskedAttention', [...INPUTS, 'mask']],
] as const) {
  tf.registerGradient({
    kernelName,
    inputsToSave: [...inputsToSave],
    outputsToSave: [true],
    gradFunc: (dy, saved, attributes) => {
      const [queries, keys, values] = saved as [Tensor, Tensor, Tensor];
      const mask = inputsToSave.length > 3 ? saved[3] : undefined;
      const inputs = { queries, keys, values, output: saved.at(-1)!, dy: dy as Tensor };
      const masked = mask === undefined ? inputs : { ...inputs, mask };
      const [dQueries, dKeys, dValues] = runKernel<Tensor[]>(
        'AttentionGradient',
        masked,
        attributes,
      );
      const gradients = { queries: () => dQueries!, keys: () => dKeys!, values: () => dValues! };
      // The mask is data: nothing trains it.
      return mask === undefined ? gradients : { ...gradients, mask: () => tf.zerosLike(mask) };
    },
  });
}
