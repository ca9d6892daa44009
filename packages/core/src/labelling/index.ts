export type { LabelFailure, LabelStage } from './label-failure.js';
export {
  type LabelRunObserver,
  type LabelRunRequest,
  type LabelRunResult,
  type LabelRunStore,
  labelViewSets,
} from './label-run.js';
export {
  openStoredLabels,
  requireCommercialUse,
  type StoredLabeller,
  storedLabeller,
} from './stored-labeller.js';
export {
  type Shard,
  shardOf,
  type ViewSet,
  viewSetsOfImages,
  viewSetsOfSamples,
} from './view-sets.js';
