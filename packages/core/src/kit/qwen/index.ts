/** What Qwen's vision models and those that took over their processor, prompt and layout of cells share. */
export { type CellFamily, type CellModel, openCellBackbone } from './backbone.js';
export {
  type CellImageConfig,
  type CellLayout,
  type CellPatches,
  type CellView,
  makeCellView,
  readCellImages,
  smartResize,
} from './images.js';
export {
  CELL_DECODER_NAMES,
  cellCheckpoint,
  cellParameterGroup,
  cellShapes,
  inMemoryCellName,
  publishedCellName,
} from './names.js';
export {
  type CellContext,
  type MergedGrid,
  prepareCells,
  type SequencePositions,
} from './prepare.js';
export {
  type CellTokens,
  cellTokenIds,
  DEFAULT_SYSTEM,
  IMAGE_PAD,
  type PromptParts,
  readCellTokens,
  renderPrompt,
  VIDEO_PAD,
} from './prompt.js';
export {
  type TinyCellFamily,
  type TinyCellOptions,
  writeTinyCells,
} from './tiny-folder.js';
export { TINY_CHAT_TEMPLATE } from './tiny-template.js';
export {
  type CellVision,
  cellVisionShapes,
  encodeCells,
  MERGER,
  mergeCells,
  patchesOf,
} from './vision.js';
