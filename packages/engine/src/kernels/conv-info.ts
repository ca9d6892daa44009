import type { tf } from '../tfjs.js';

/** Sizes of a convolution. */
export interface ConvInfo extends tf.backend_util.Conv2DInfo {
  /** Filters that take turns: image n is convolved with set n modulo `sets`. */
  readonly sets: number;
}
