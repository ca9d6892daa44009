export {
  type CellImageConfig as ImageProcessorConfig,
  inMemoryCellName as inMemoryName,
  publishedCellName as publishedName,
  renderPrompt,
  smartResize,
} from '@spatialsv/core/kit';
export { qwen25Vl } from './plugin.js';
export { parseQwen25VlConfig, type Qwen25VlConfig, qwen25VlShapes } from './qwen25vl-config.js';
export type { Qwen25VlTinyOptions, TinyVisionOptions } from './tiny-checkpoint.js';
