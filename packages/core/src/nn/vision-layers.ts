/** Layers that the vision transformer is made of. */
import { ops, type Tensor, tf } from '@spatialsv/engine';
import type { ParameterScope } from './parameter-scope.js';
import type { Activation, NormConfig } from './vision-config.js';

/** @param layer scope of `weight` (C) and, for a layer norm, `bias` (C). @param x (…, C). */
export const normalise = (
  { kind, epsilon }: NormConfig,
  layer: ParameterScope,
  x: Tensor,
): Tensor =>
  kind === 'rms' ? ops.rmsNorm(x, layer.get('weight'), epsilon) : layerNorm(layer, x, epsilon);

/** @param layer scope of `weight` and `bias` (C). @param x (…, C). */
export const layerNorm = (layer: ParameterScope, x: Tensor, epsilon: number): Tensor =>
  ops.layerNorm(x, layer.get('weight'), layer.get('bias'), epsilon);

/** √(2/π). */
const TANH_GELU_SCALE = Math.sqrt(2 / Math.PI);

/** Elementwise. */
export function activate(kind: Activation, x: Tensor): Tensor {
  switch (kind) {
    case 'gelu':
      return ops.gelu(x);
    case 'silu':
      return ops.silu(x);
    case 'quick-gelu':
      return tf.mul(x, tf.sigmoid(tf.mul(x, 1.702)));
    case 'gelu-tanh': {
      const cubic = tf.mul(tf.mul(tf.mul(x, x), x), 0.044715);
      const inner = tf.mul(tf.add(x, cubic), TANH_GELU_SCALE);
      return tf.mul(tf.mul(x, 0.5), tf.add(tf.tanh(inner), 1));
    }
  }
}
