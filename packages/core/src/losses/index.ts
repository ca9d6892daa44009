export { distillationLoss, poolFeatures } from './distillation-loss.js';
export {
  type GeometryLosses,
  type GeometryTargets,
  geometryLosses,
  totalLoss,
} from './geometry-losses.js';
export { type LossConfig, type LossConfigInput, lossConfigSchema } from './loss-config.js';
