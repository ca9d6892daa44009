export { type ChanceLines, type ChanceQuestion, chanceLines } from './baselines.js';
export { mindCubeBenchmark } from './benchmarks/mindcube.js';
export {
  type EvaluateOptions,
  type EvaluationFolder,
  evaluate,
  questionKeys,
} from './evaluate.js';
export {
  EVALUATION_FILE,
  type EvaluationIdentity,
  PREDICTIONS_FILE,
  RESULTS_FILE,
} from './evaluation-folder.js';
export { extractMindCubeLetter } from './extract/mindcube-letter.js';
export {
  type Accuracy,
  type AccuracyReport,
  accuracyReport,
  type Prediction,
} from './report.js';
export {
  BackboneRunner,
  type ForwardRequest,
  type ForwardResult,
  type GenerateOptions,
  type GenerateResult,
  type RunnerOptions,
  type ViewStates,
} from './runner/backbone-runner.js';
export { type GeometryMaps, gatherCells, type HiddenStates } from './runner/geometry-runner.js';
export type { Sampling } from './runner/token-choice.js';
export { binomialTail } from './statistics/binomial.js';
export { wilsonInterval } from './statistics/intervals.js';
export { type McNemarResult, mcNemar } from './statistics/mcnemar.js';
export { type GradedAnswer, permutationTest } from './statistics/permutation.js';
export { tablePercentage } from './statistics/rounding.js';
