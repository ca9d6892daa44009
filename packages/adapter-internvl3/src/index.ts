export { type InternVl3Config, parseInternVl3Config } from './internvl3-config.js';
export { internVl3Shapes, publishedName } from './internvl3-names.js';
export type { CheckpointLayout } from './model-type.js';
export { internVl3 } from './plugin.js';
export type { InternVl3TinyOptions } from './tiny-config.js';
