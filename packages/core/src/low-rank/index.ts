export {
  isLowRankName,
  type LowRankAdapter,
  layerOfWeight,
  lowRankNames,
  lowRankScale,
} from './low-rank.js';
export { mergeLowRank } from './merge-low-rank.js';
export { moduleNamer } from './module-names.js';
export { type PeftSettings, readPeftAdapter, writePeftAdapter } from './peft-adapter.js';
