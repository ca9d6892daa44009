export { cellsOfPatches } from './cell-states.js';
export { type Matches, OCCLUSION_TOLERANCE, trueMatches } from './correspondence.js';
export {
  extractFeatures,
  identifySets,
  type ReadStates,
  type ViewSetStates,
} from './extract-features.js';
export { type CellFeatures, type FeatureIdentity, FeatureStore } from './feature-store.js';
export { ImageFiles } from './image-files.js';
export { PROBE_KINDS, type ProbeKind } from './probe-network.js';
export {
  CONTROLS,
  type Control,
  PROBE_TASKS,
  type ProbeResult,
  type ProbeRunRequest,
  type ProbeTask,
  probeSteps,
  runProbes,
  type Subject,
} from './run-probes.js';
export { parseSites } from './site-list.js';
export { type CurvePoint, PROBE_TRAINING, type ProbeTraining } from './train-probe.js';
export { type ProbeSet, splitByScene, type ViewLayout } from './view-sets.js';
