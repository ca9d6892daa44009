/** Everything for applications; plugins use `./spec`, `./kit` and `./testing` alone. */

export { canonicalJson } from './canonical-json.js';
export {
  type MindCubeSetting,
  mindCubePrompt,
  mindCubeSetting,
} from './data/mindcube.js';
export { multipleChoicePrompt } from './data/mmbench.js';
export { type SplitQuestion, splitInlineOptions } from './data/options.js';
export { readSampleImages, type SampleImagesRequest } from './data/sample-images.js';
export { type FolderLock, LOCK_FILE, lockFolder } from './folder-lock.js';
export {
  distillationParameterShapes,
  dptGeometryHead,
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
  initialiseShapes,
  parseHeadsConfig,
  predictGeometry,
  projectForDistillation,
} from './heads/index.js';
export * from './host.js';
export * from './kit.js';
export {
  type Claim,
  checkStorableLabels,
  DEFAULT_LEASE_MS,
  featureTensor,
  LABEL_LIMITS,
  type LabelKeyRequest,
  type LabelledImage,
  LabelStore,
  type LabelSummary,
  labelKey,
  type OpenStoreOptions,
  type StoredField,
  type StoredLabels,
} from './label-store/index.js';
export {
  type LabelFailure,
  type LabelRunObserver,
  type LabelRunRequest,
  type LabelRunResult,
  type LabelRunStore,
  type LabelStage,
  labelViewSets,
  openStoredLabels,
  requireCommercialUse,
  type Shard,
  type StoredLabeller,
  shardOf,
  storedLabeller,
  type ViewSet,
  viewSetsOfImages,
  viewSetsOfSamples,
} from './labelling/index.js';
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
export * from './low-rank/index.js';
export { createProcessOwner, type ProcessOwner } from './process-owner.js';
export {
  describeNonFinite,
  findNonFinite,
  type NonFiniteValues,
  type NonFiniteWeight,
  nonFiniteWeights,
} from './safetensors/non-finite.js';
export {
  readSpatialCheckpoint,
  requireTapCount,
  SPATIAL_FOLDER,
  type SpatialCheckpoint,
  type SpatialSettings,
  writeSpatialCheckpoint,
} from './spatial-checkpoint.js';
export * from './spec.js';
export { SpoolFile } from './spool-file.js';
export * from './threads/index.js';
