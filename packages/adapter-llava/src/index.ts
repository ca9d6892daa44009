export { llavaNextVideo } from './next-video/adapter.js';
export {
  type NextVideoConfig,
  parseNextVideoConfig,
} from './next-video/config.js';
export { nextVideoShapes } from './next-video/names.js';
export { llavaNextVideoSiglip } from './next-video-siglip/adapter.js';
export {
  type NextVideoSiglipConfig,
  parseNextVideoSiglipConfig,
} from './next-video-siglip/config.js';
export { nextVideoSiglipShapes } from './next-video-siglip/names.js';
export type { NextVideoSiglipTinyOptions } from './next-video-siglip/tiny-checkpoint.js';
export { llavaOneVision } from './onevision/adapter.js';
export { type OneVisionConfig, parseOneVisionConfig } from './onevision/config.js';
export type { ViewMode } from './onevision/prepare.js';
export type { OneVisionTinyOptions } from './onevision/tiny-checkpoint.js';
export { oneVisionShapes } from './onevision/vision.js';
export { llavaOneVision15 } from './onevision-15/adapter.js';
export { parseOneVision15Config } from './onevision-15/config.js';
export type { OneVision15TinyOptions } from './onevision-15/tiny-checkpoint.js';
export type { FrameFit } from './shared/frames.js';
export type { NextVideoTinyOptions } from './shared/tiny-tower.js';
export type { NewlinePosition } from './shared/video.js';
