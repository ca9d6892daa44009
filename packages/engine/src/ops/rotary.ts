import { tf, type Tensor } from '../tfjs.js';

/**
 * Rotary position embedding by halves: [x₁, x₂] → [x₁c − x₂s, x₂c + x₁s].
 * @param x (…, T, hd) float32. @param cos (T, hd/2) float32. @param sin (T, hd/2) float32.
 * @returns as x.
 */
export function rotary(x: Tensor, cos: Tensor, sin: Tensor): Tensor {
  const [first, second] = tf.split(x, 2, -1) as [Tensor, Tensor];
  return tf.concat(
    [
      tf.sub(tf.mul(first, cos), tf.mul(second, sin)),
      tf.add(tf.mul(second, cos), tf.mul(first, sin)),
    ],
    -1,
  );
}
