export { builtInGeometryHead, dptGeometryHead } from './dpt-geometry-head.js';
export { type DptOptions, dptHead } from './dpt-head.js';
export {
  distillationParameterShapes,
  headParameterShapes,
  initialiseDistillation,
  initialiseHeads,
} from './head-parameters.js';
export {
  GEOMETRY_TASKS,
  type GeometryTask,
  type HeadsConfig,
  type HeadsConfigInput,
  headOutputSize,
  headsConfigSchema,
  parseHeadsConfig,
} from './heads-config.js';
export {
  type GeometryPrediction,
  predictGeometry,
  projectForDistillation,
} from './predict-geometry.js';
