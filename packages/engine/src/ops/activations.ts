import { type Tensor, tf } from '../tfjs.js';
import { fused, runKernel } from './fused.js';

/** x · σ(x). */
export const silu = (x: Tensor): Tensor => swish(x, 1);

/** x · σ(1.702 x), an approximation of GELU. */
export const quickGelu = (x: Tensor): Tensor => swish(x, 1.702);

/** x · σ(αx). */
function swish(x: Tensor, alpha: number): Tensor {
  return fused('Swish', { x }, { alpha }, () => tf.mul(x, tf.sigmoid(tf.mul(x, alpha))));
}

/** Exact GELU: x · Φ(x) = x/2 · (1 + erf(x/√2)). */
export function gelu(x: Tensor): Tensor {
  return fused('Gelu', { x }, {}, () =>
    tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1)),
  );
}

/** √(2/π). */
const TANH_SCALE = Math.sqrt(2 / Math.PI);
/** Share of x³ in the argument of tanh. */
const CUBIC = 0.044715;

const tanhOf = (x: Tensor): Tensor => {
  const cubic = tf.mul(tf.mul(tf.mul(x, x), x), CUBIC);
  return tf.tanh(tf.mul(tf.add(x, cubic), TANH_SCALE));
};

/** GELU by tanh: x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))). */
export function geluTanh(x: Tensor): Tensor {
  return fused('GeluTanh', { x }, {}, () => tf.mul(tf.mul(x, 0.5), tf.add(tanhOf(x), 1)));
}

for (const kernel of ['Swish', 'Gelu']) {
  tf.registerGradient({
    kernelName: kernel,
    inputsToSave: ['x'],
    gradFunc: (dy, [x], attributes) => ({
      x: () => runKernel(`${kernel}Gradient`, { dy: dy as Tensor, x: x! }, attributes),
    }),
  });
}

/** With t = tanh(u): y' = (1 + t)/2 + x/2 · (1 − t²) · u', u' = √(2/π) · (1 + 3 · 0.044715 x²). */
tf.registerGradient({
  kernelName: 'GeluTanh',
  inputsToSave: ['x'],
  gradFunc: (dy, saved) => {
    const x = saved[0]!;
    const slope = () => {
      const t = tanhOf(x);
      const inner = tf.mul(tf.add(tf.mul(tf.mul(x, x), 3 * CUBIC), 1), TANH_SCALE);
      const bent = tf.mul(tf.mul(x, tf.sub(1, tf.mul(t, t))), inner);
      return tf.mul(tf.add(tf.add(t, 1), bent), 0.5);
    };
    return { x: () => tf.mul(dy as Tensor, slope()) };
  },
});
