export { qwen25Vl } from './plugin.js';
export { parseQwen25VlConfig, type Qwen25VlConfig, type VisionConfig } from './qwen25vl-config.js';
export { type ImageProcessorConfig, smartResize } from './qwen25vl-image-processor.js';
export { inMemoryName, publishedName, qwen25VlShapes } from './qwen25vl-names.js';
export { renderPrompt } from './qwen25vl-prompt.js';
export type { Qwen25VlTinyOptions, TinyVisionOptions } from './tiny-checkpoint.js';
