/** Layers that the vision transformer is made of. */
import { ops, type Tensor } from '@spatialsv/engine';
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

/** Elementwise. */
export function activate(kind: Activation, x: Tensor): Tensor {
  switch (kind) {
    case 'gelu':
      return ops.gelu(x);
    case 'silu':
      return ops.silu(x);
    case 'quick-gelu':
      return ops.quickGelu(x);
    case 'gelu-tanh':
      return ops.geluTanh(x);
  }
}
