export {
  type InternVl3Config,
  parseInternVl3Config,
  type VisionConfig,
} from './internvl3-config.js';
export { type GridOf, processImage, type TileLayout } from './internvl3-image-processor.js';
export { inMemoryName, internVl3Shapes, publishedName } from './internvl3-names.js';
export { DEFAULT_SYSTEM, originalPrompt } from './internvl3-prompt.js';
export type { InternVl3Settings } from './internvl3-settings.js';
export type { CheckpointLayout } from './model-type.js';
export { internVl3 } from './plugin.js';
export { chooseTiles, type TilingConfig } from './tiling.js';
export type { InternVl3TinyOptions, TinyVisionOptions } from './tiny-checkpoint.js';
