import { type Tensor, tf } from '../tfjs.js';
import { fused } from './fused.js';

/**
 * Rotary position embedding by halves: [x₁, x₂] → [x₁c − x₂s, x₂c + x₁s].
 * @param x (…, T, hd) float32. @param cos (T, hd/2) float32. @param sin (T, hd/2) float32; constants of the model, not
 *   differentiated.
 * @returns as x.
 */
export function rotary(x: Tensor, cos: Tensor, sin: Tensor): Tensor {
  return fused('Rotary', { x, cos, sin }, {}, () => {
    const [first, second] = tf.split(x, 2, -1) as [Tensor, Tensor];
    return tf.concat(
      [
        tf.sub(tf.mul(first, cos), tf.mul(second, sin)),
        tf.add(tf.mul(second, cos), tf.mul(first, sin)),
      ],
      -1,
    );
  });
}

tf.registerGradient({
  kernelName: 'Rotary',
  inputsToSave: ['cos', 'sin'],
  gradFunc: (dy, saved) => {
    const [cos, sin] = saved as [Tensor, Tensor];
    // The transpose of a rotation is the rotation by the negative angle.
    return {
      x: () => rotary(dy as Tensor, cos, tf.neg(sin)),
      cos: () => tf.zerosLike(cos),
      sin: () => tf.zerosLike(sin),
    };
  },
});
