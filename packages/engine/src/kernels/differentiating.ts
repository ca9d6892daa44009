import { tf } from '../tfjs.js';

/** Whether what is traced now has a backward pass, which reads intermediate values of the forward pass. */
export const isDifferentiating = (): boolean => tf.engine().state.gradientDepth > 0;
