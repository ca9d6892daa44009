export { convolveInTurn } from './convolve-in-turn.js';
export { convolve1x1, convolve3x3, resizeAligned } from './dense-layers.js';
export { dptGeometryHead } from './dpt-geometry-head.js';
export {
  type DptContext,
  type DptOptions,
  dptFuse,
  dptHead,
  dptOutput,
  dptPyramid,
} from './dpt-head.js';
export { type DptSizes, dptFusionShapes, dptOutputShapes, dptShapes } from './dpt-shapes.js';
export {
  distillationParameterShapes,
  headParameterShapes,
  initialiseDistillation,
  initialiseHeads,
  initialiseShapes,
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
export { positionEmbedding } from './position-embedding.js';
export {
  type GeometryPrediction,
  predictGeometry,
  projectForDistillation,
} from './predict-geometry.js';
