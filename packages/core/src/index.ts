export { type MappedTensor, ops, type Tensor, tf } from '@spatialsv/engine';
export { readCheckpointConfig, readCheckpointJson, saveCheckpoint } from './checkpoint-folder.js';
export { type ErrorCode, SpatialError } from './errors.js';
export { writeFileAtomic } from './files.js';
export {
  type DptOptions,
  distillationParameterShapes,
  dptHead,
  GEOMETRY_TASKS,
  type GeometryPrediction,
  type GeometryTask,
  type HeadsConfig,
  type HeadsConfigInput,
  headOutputSize,
  headParameterShapes,
  headsConfigSchema,
  initialiseDistillation,
  initialiseHeads,
  parseHeadsConfig,
  predictGeometry,
  projectForDistillation,
} from './heads/index.js';
export {
  decodeImage,
  encodePng,
  type PngLayout,
  readImage,
  resizeBicubic,
  writePng,
} from './images/index.js';
export {
  distillationLoss,
  type GeometryLosses,
  type GeometryTargets,
  geometryLosses,
  type LossConfig,
  type LossConfigInput,
  lossConfigSchema,
  poolFeatures,
  totalLoss,
} from './losses/index.js';
export { nearestName } from './nearest-name.js';
export {
  blockShapes,
  type DecodeRequest,
  type DecoderConfig,
  type DecoderNames,
  decode,
  decoderLogits,
  decoderShapes,
  embedTokens,
  inverseFrequencies,
  type ParameterScope,
  parameterScope,
  type RopeConfig,
  type RopeScaling,
  type RotaryTables,
  rotaryTables,
} from './nn/index.js';
export {
  createProgress,
  formatSeconds,
  type ProgressReporter,
  type ProgressStream,
  silentProgress,
} from './progress.js';
export { createRandom, type Random } from './random.js';
export {
  copySource,
  float32Source,
  openSafetensors,
  openWeights,
  replaceWeights,
  type SafetensorsDType,
  SafetensorsReader,
  type StoredTensor,
  saveWeights,
  type TensorSource,
  type TensorSources,
  type WriteOptions,
  writeSafetensors,
} from './safetensors/index.js';
export * from './spec.js';
