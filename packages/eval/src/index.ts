export { type Answer, type Protocol, scoreAnswer, scoredQuestion } from './answers.js';
export { askingOrder, type ImageSizes } from './asking-order.js';
export { type ChanceLines, type ChanceQuestion, chanceLines } from './baselines.js';
export { type ChanceReports, chanceReports } from './chance-reports.js';
export { type ComparedRun, type Comparison, compareRuns } from './compare.js';
export {
  type EvaluateOptions,
  evaluate,
} from './evaluate.js';
export {
  EVALUATION_FILE,
  type EvaluationFolder,
  type EvaluationIdentity,
  type EvaluationRecord,
  PREDICTIONS_FILE,
  RESULTS_FILE,
} from './evaluation-folder.js';
export { type BinReport, binAnswers, type QualityBin, type RatedAnswer } from './explain/bins.js';
export { CASE_RULES, chooseCases, type ExplainedCase } from './explain/cases.js';
export {
  type Disagreement,
  type EstimatedCorrelation,
  type ExplainedAnswer,
  type ExplainedRun,
  type ExplainOptions,
  type Explanation,
  explainRuns,
  type ModelBins,
  type ModelSummary,
} from './explain/explain.js';
export { extractMindCubeLetter } from './extract/mindcube-letter.js';
export {
  type FinishedEvaluation,
  finishedEvaluation,
  hashAnswers,
  hasOrigin,
  knownStatistics,
  type Repeated,
  readResults,
  type WrittenResults,
} from './finished.js';
export { conversationOf } from './media/conversation.js';
export { ffmpegVersion, frameNumbers, videoFrames } from './media/video-frames.js';
export { type MergedEvaluation, mergeEvaluations } from './merge.js';
export { PreparationPool } from './preparation/preparation-pool.js';
export { servePreparation } from './preparation/serve-preparation.js';
export { type QuestionKeys, questionKeys } from './question-keys.js';
export {
  QUESTIONS_FILE,
  type RecordedQuestion,
  readQuestions,
  writeRecordedQuestions,
} from './recorded-questions.js';
export {
  type Accuracy,
  type AccuracyReport,
  accuracyReport,
  type Prediction,
} from './report.js';
export { type EvaluationResults, evaluationResults, predictionOf } from './results.js';
export type { GenerateOptions, GenerateResult } from './runner/answer.js';
export {
  BackboneRunner,
  type ForwardRequest,
  type ForwardResult,
  type RunnerOptions,
  type ViewStates,
} from './runner/backbone-runner.js';
export { type GeometryMaps, gatherCells, type HiddenStates } from './runner/geometry-runner.js';
export type { Sampling } from './runner/token-choice.js';
export { binomialTail } from './statistics/binomial.js';
export {
  bootstrapCorrelation,
  type Correlation,
  fisherInterval,
  pearson,
  spearman,
} from './statistics/correlation.js';
export { wilsonInterval } from './statistics/intervals.js';
export { type McNemarResult, mcNemar } from './statistics/mcnemar.js';
export { type GradedAnswer, permutationTest } from './statistics/permutation.js';
export { tablePercentage } from './statistics/rounding.js';
export { cochranArmitage, type TrendGroup, type TrendTest } from './statistics/trend.js';
export { loadSuite, type Suite, type SuiteRun, type SuiteTable } from './suite/suite-file.js';
export { answersOf, type Discrepancy, recordOf, verifyEvaluation } from './verify.js';
