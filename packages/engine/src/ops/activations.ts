import { type Tensor, tf } from '../tfjs.js';
import { fused, runKernel } from './fused.js';

/** x · σ(x). */
export function silu(x: Tensor): Tensor {
  return fused('Silu', { x }, {}, () => tf.mul(x, tf.sigmoid(x)));
}

/** Exact GELU: x · Φ(x) = x/2 · (1 + erf(x/√2)). */
export function gelu(x: Tensor): Tensor {
  return fused('Gelu', { x }, {}, () =>
    tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1)),
  );
}

for (const kernel of ['Silu', 'Gelu']) {
  tf.registerGradient({
    kernelName: kernel,
    inputsToSave: ['x'],
    gradFunc: (dy, [x]) => ({
      x: () => runKernel(`${kernel}Gradient`, { dy: dy as Tensor, x: x! }),
    }),
  });
}
