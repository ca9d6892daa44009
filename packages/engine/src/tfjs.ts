import './tfjs-before.js';
import { createRequire } from 'node:module';
import type * as tfjs from '@tensorflow/tfjs';
import { claimProcess, ownCopy, requireOneTfjs } from './single-copy.js';
import { currentMarker, markerBefore } from './tfjs-before.js';

/**
 * The one place that loads tfjs. `@tensorflow/tfjs` (not tfjs-core alone) registers the gradient functions in Node.
 * Everything else takes `tf` from here, so that one engine, one gradient registry and one set of kernels exist per process.
 * Required, not imported: of what it imports from CommonJS, Node reads all of the text for names first, here for 0.3 s.
 */
export const tf: typeof tfjs = createRequire(import.meta.url)('@tensorflow/tfjs');

/** The types of tfjs that go by `tf.` as well. */
export declare namespace tf {
  type DataType = tfjs.DataType;
  type KernelBackend = tfjs.KernelBackend;
  type NamedAttrMap = tfjs.NamedAttrMap;
  type NamedTensorInfoMap = tfjs.NamedTensorInfoMap;
  type NamedTensorMap = tfjs.NamedTensorMap;
  type Rank = tfjs.Rank;
  type Scalar = tfjs.Scalar;
  type Tensor<R extends tfjs.Rank = tfjs.Rank> = tfjs.Tensor<R>;
  type Tensor1D = tfjs.Tensor1D;
  type Tensor2D = tfjs.Tensor2D;
  type Tensor3D = tfjs.Tensor3D;
  type Tensor4D = tfjs.Tensor4D;
  type Tensor5D = tfjs.Tensor5D;
  type TensorInfo = tfjs.TensorInfo;
  type TensorLike = tfjs.TensorLike;
  namespace backend_util {
    type Conv2DInfo = tfjs.backend_util.Conv2DInfo;
    type ExplicitPadding = tfjs.backend_util.ExplicitPadding;
    type TypedArray = tfjs.backend_util.TypedArray;
  }
  type Variable<R extends tfjs.Rank = tfjs.Rank> = tfjs.Variable<R>;
}

claimProcess(ownCopy(import.meta.url));
requireOneTfjs(markerBefore, currentMarker());
const ownMarker = currentMarker();

/** @throws EngineError DUPLICATE_PACKAGE when another copy of tfjs was loaded since. */
export const checkTfjs = (): void => requireOneTfjs(currentMarker(), ownMarker);

// tfjs prints a banner on its first CPU operation unless it believes to run in production.
tf.env().set('PROD', true);

export type Tensor = tfjs.Tensor;
export type TensorInfo = tfjs.TensorInfo;
