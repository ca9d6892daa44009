import './tfjs-before.js';
/**
 * The one place that imports tfjs. `@tensorflow/tfjs` (not tfjs-core alone) registers the gradient functions in Node.
 * Everything else takes `tf` from here, so that one engine, one gradient registry and one set of kernels exist per process.
 */
import * as tf from '@tensorflow/tfjs';
import { claimProcess, ownCopy, requireOneTfjs } from './single-copy.js';
import { currentMarker, markerBefore } from './tfjs-before.js';

claimProcess(ownCopy(import.meta.url));
requireOneTfjs(markerBefore, currentMarker());
const ownMarker = currentMarker();

/** @throws EngineError DUPLICATE_PACKAGE when another copy of tfjs was loaded since. */
export const checkTfjs = (): void => requireOneTfjs(currentMarker(), ownMarker);

// tfjs prints a banner on its first CPU operation unless it believes to run in production.
tf.env().set('PROD', true);

export { tf };
export type Tensor = tf.Tensor;
export type TensorInfo = tf.TensorInfo;
