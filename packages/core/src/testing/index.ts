export { expectAllclose, type NumberArray, type Tolerance, toBeAllclose } from './allclose.js';
export { wrongDefaults } from './config-defaults.js';
export { describeBackboneAdapter } from './describe-backbone-adapter.js';
export { type BenchmarkConformance, describeBenchmark } from './describe-benchmark.js';
export {
  type DatasetFormatConformance,
  describeDatasetFormat,
} from './describe-dataset-format.js';
export { describeGeometryHead, type GeometryHeadConformance } from './describe-geometry-head.js';
export {
  describeGoldenBackbone,
  type GoldenBackboneInfo,
  type GoldenBackboneOptions,
  type OpenedGoldenBackbone,
  sampledValues,
} from './describe-golden-backbone.js';
export {
  describeLabelSource,
  type LabelSourceConformance,
} from './describe-label-source.js';
export { filled, uniformOf } from './filled.js';
export { type Golden, readGolden } from './golden.js';
export { type LocatedCell, locateCells, rampImage, readWeights } from './located-cells.js';
export { type SampleLabelsSize, sampleLabels, sampleStoredLabels } from './sample-labels.js';
export { openAsSaved, type SavedByReleases } from './saved-releases.js';
export { withTemporaryFolder } from './temporary-folder.js';
export type { TestRunner } from './test-runner.js';
export { wideWeight, writeWideCheckpoint } from './wide-weights.js';
