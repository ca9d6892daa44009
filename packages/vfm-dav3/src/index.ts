export { type KnownCameras, normaliseCameras } from './da3-cameras.js';
export {
  type BackboneConfig,
  type CameraEncoderConfig,
  type Da3Config,
  type Da3Kind,
  type HeadConfig,
  type NetworkConfig,
  parseDa3Config,
  readDa3Config,
  variantConfig,
} from './da3-config.js';
export { Da3Model, openDa3 } from './da3-model.js';
export type {
  Da3Prediction,
  Da3Views,
  FeatureMaps,
  NetworkOutputs,
  PredictOptions,
} from './da3-prediction.js';
export {
  inputIntrinsics,
  type PreparedViews,
  type PreprocessMethod,
  type PreprocessOptions,
  prepareViews,
} from './da3-preprocess.js';
export { chooseReferenceView, type ReferenceView } from './da3-reference-view.js';
export type { Da3Settings } from './da3-source.js';
export { DA3_VARIANTS, type Four } from './da3-variants.js';
export { da3Source } from './plugin.js';
export { writeRandomWeights, writeTiny } from './tiny-weights.js';
