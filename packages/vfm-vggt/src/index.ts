export { vggtSource } from './plugin.js';
export { writeRandomWeights, writeTinyVggt } from './tiny-weights.js';
export { parseVggtConfig, RELEASED_VGGT, readVggtConfig, type VggtConfig } from './vggt-config.js';
export { VGGT_CONVENTIONS, vggtLabels } from './vggt-labels.js';
export {
  type PredictOptions,
  VggtModel,
  type VggtPrediction,
  type ViewSize,
} from './vggt-model.js';
export { type DenseHead, vggtTensorShapes } from './vggt-names.js';
export {
  type PreparedImages,
  type PrepareMode,
  type PrepareOptions,
  prepareImages,
} from './vggt-preprocess.js';
export type { VggtSettings } from './vggt-source.js';
export { openVggtWeights, type VggtWeights } from './vggt-weights.js';
