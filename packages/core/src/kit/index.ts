/** What plugin authors build models with. */

export { isJsonObject, type JsonObject } from '../json.js';
export * from '../nn/index.js';
export { type BackboneParts, backboneConfigOf, type FamilyDefaults } from './backbone-config.js';
export {
  parseBackboneSettings,
  refusePixelBudget,
  refuseSettings,
} from './backbone-settings.js';
export { chatMlPrompt, questionChat } from './chat-ml.js';
export {
  type CheckpointContent,
  checkpointFolder,
  type OpenedCheckpoint,
  openCheckpoint,
  renamed,
  replacePrefix,
  type TiedTensor,
} from './checkpoint.js';
export { type ConfigFields, configFields, invalidField } from './config-fields.js';
export { contentOf, imagesFirst } from './conversation-content.js';
export { type DecoderFamily, readDecoderConfig, readRopeConfig } from './decoder-fields.js';
export { defaultTaps } from './default-taps.js';
export { readGenerationSettings, SAMPLING_DEFAULTS } from './generation-config.js';
export {
  type CellLimits,
  CLIP_STATISTICS,
  cutPatches,
  fitToCells,
  HALF_STATISTICS,
  IMAGENET_STATISTICS,
  normalisedLevels,
  type PatchOptions,
  type PixelStatistics,
  patchesOfImages,
  refuseExtremeShape,
} from './image-processor.js';
export {
  type ImageProcessorFile,
  readImageProcessor,
  readPixelStatistics,
} from './image-processor-file.js';
export {
  joinViews,
  type NetworkPart,
  NetworkPrograms,
  perView,
  repeated,
} from './network-programs.js';
export { oneByOne } from './one-by-one.js';
export {
  groupsByScope,
  type ModelFolder,
  type OpenedParts,
  openedBackbone,
  openModelFolder,
  tiedContent,
} from './opened-backbone.js';
export { readOptionalJson } from './optional-file.js';
export { cutMiddle, type PlacedImage, padCentre, padWhite, wholeImage } from './placed-image.js';
export { type ProjectorNames, project, projectorShapes } from './projector.js';
export {
  gridOverImage,
  layOutPrompt,
  type PromptLayout,
  type PromptLayoutParts,
  plainPositions,
  splitIds,
} from './prompt-layout.js';
export * from './qwen/index.js';
export { type RandomValues, randomTensors, unitGain } from './random-weights.js';
export {
  invalidSettings,
  licenceSchema,
  parseSourceSettings,
  requireWeights,
  settingOfPrecision,
} from './source-settings.js';
export { isIn, type Stretch, stretchesFrom } from './stretches.js';
export { Collected, TensorScope } from './tensor-scope.js';
export {
  type ChatMessage,
  type ChatPart,
  openTextCodec,
  openTextProcessor,
  refusePlaceholders,
  requirePlaces,
  type TextCodec,
  type TextProcessor,
} from './text-processor.js';
export { cutTiles, stitchTiles, type TileGrid } from './tiles.js';
export { tinyChatMlTemplate } from './tiny-chat-template.js';
export {
  alphabetical,
  parseTinyConfig,
  pixelStepsConfig,
  qwenGenerationConfig,
  type TinyModelOptions,
  type TinyModelParts,
  type TinyTowerOptions,
  tinyDecoderConfig,
  tinyDtype,
  tinyKvHeads,
  tinyModelWeights,
  tinyTowerConfig,
} from './tiny-model.js';
export { type TinyText, type TinyTextSpec, tinyText } from './tiny-text.js';
export {
  makeTinyTokenizer,
  QWEN_TOKENIZER,
  QWEN_TOKENS,
  type TinyTokenizer,
  tokenizerConfig,
} from './tiny-tokenizer.js';
export { type CheckpointFiles, writeCheckpointFolder } from './write-checkpoint.js';
