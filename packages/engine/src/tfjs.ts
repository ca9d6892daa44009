/**
 * The one place that imports tfjs. `@tensorflow/tfjs` (not tfjs-core alone) registers the gradient functions in Node.
 * Everything else takes `tf` from here, so that one engine, one gradient registry and one set of kernels exist per process.
 */
import * as tf from '@tensorflow/tfjs';

// tfjs prints a banner on its first CPU operation unless it believes to run in production.
tf.env().set('PROD', true);

export { tf };
export type Tensor = tf.Tensor;
export type TensorInfo = tf.TensorInfo;
