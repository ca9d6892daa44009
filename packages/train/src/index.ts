export { checkpointFolder, listCheckpoints } from './checkpoint/checkpoint.js';
export { ARMS, type Arm, SIGNALS, type Signal } from './config/arms.js';
export { CRITERIA, type Criterion } from './config/criteria.js';
export { loadTrainConfig, parseTrainConfig } from './config/load-config.js';
export {
  completeConfig,
  type ModelDefaults,
  type Origin,
  type RunConfig,
} from './config/run-config.js';
export { type TrainConfig, type TrainConfigInput, trainConfigSchema } from './config/schema.js';
export { loadSweep, type Sweep, type SweepRun } from './config/sweep.js';
export { tappedLayers } from './config/tapped-layers.js';
export {
  type PreparationReply,
  type PreparationRequest,
  type PreparationThreads,
  servePreparation,
} from './data/threaded-preparation.js';
export { TrainingData, type TrainingSample } from './data/training-data.js';
export {
  type Features,
  VisionFeatures,
  type VisionFeaturesOptions,
} from './data/vision-features.js';
export type { GradientMetrics } from './gradient-statistics.js';
export { type RatesByGroup, TRAINED_GROUPS, type TrainedGroup } from './groups.js';
export type { HeldOutMetrics, TeacherMetrics } from './held-out.js';
export {
  type LabelTarget,
  learnableLabels,
  type ViewLabels,
  viewLabels,
} from './labels/label-maps.js';
export {
  type AdamwSettings,
  type AdamwTensors,
  adamwUpdate,
  clipCoefficient,
  type RateScalars,
  rateScalars,
  type StepScalars,
  stepScalars,
  sumOfSquares,
} from './optimizer/adamw.js';
export { AdamwOptimizer, type TrainableParameter } from './optimizer/adamw-optimizer.js';
export { countSteps, rateFactor, SCHEDULES, type Schedule } from './optimizer/schedule.js';
export {
  type MeasureRequest,
  measureTraining,
  type TrainingMeasurement,
} from './plan/measure-training.js';
export { type Measure, planTraining, type TrainingPlan } from './plan/training-plan.js';
export * from './probe/index.js';
export { type BestRecord, readBest } from './run-folder/best.js';
export { CHANGE_KINDS, type ChangeKind } from './run-folder/change.js';
export { readMetrics, type StepMetrics } from './run-folder/metrics-log.js';
export { readSkips, SKIPPED_FILE, type SkipRecord } from './run-folder/skipped.js';
export { LOSS_TERMS, type LossTerm } from './step/terms.js';
export {
  openPreparation,
  type TrainOptions,
  type TrainResult,
  type TrainStart,
  train,
} from './train.js';
export type { WatchedLook, WatchedMaps } from './watch.js';
