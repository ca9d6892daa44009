import { type BackboneAdapterV1, definePlugin } from '@spatialsv/core/spec';
import { MODEL_TYPE as NEXT_VIDEO } from './next-video/model-type.js';
import { isNextVideoSiglip } from './next-video-siglip/model-type.js';
import { llavaOneVision } from './onevision/adapter.js';
import { llavaOneVision15 } from './onevision-15/adapter.js';

/**
 * Backbone adapter of LLaVA-NeXT-Video with CLIP and Vicuna, in the layout of transformers. Models are loaded when a
 * checkpoint is opened.
 */
export const llavaNextVideo: BackboneAdapterV1 = {
  specificationVersion: 'v1',
  kind: 'backbone-adapter',
  id: 'llava-next-video',
  accepts: (config) => config['model_type'] === NEXT_VIDEO,
  open: async (folder, options) =>
    (await import('./next-video/backbone.js')).openNextVideo(folder, options),
  writeTiny: async (options) =>
    (await import('./next-video/tiny-checkpoint.js')).writeTinyNextVideo(options),
};

/**
 * Backbone adapter of LLaVA-NeXT-Video with SigLIP and Qwen2 (LLaVA-Video-7B-Qwen2), in the layout of the original code.
 */
export const llavaNextVideoSiglip: BackboneAdapterV1 = {
  specificationVersion: 'v1',
  kind: 'backbone-adapter',
  id: 'llava-next-video-siglip',
  accepts: isNextVideoSiglip,
  open: async (folder, options) =>
    (await import('./next-video-siglip/backbone.js')).openNextVideoSiglip(folder, options),
  writeTiny: async (options) =>
    (await import('./next-video-siglip/tiny-checkpoint.js')).writeTinyNextVideoSiglip(options),
};

/** Contributes the backbone adapters of LLaVA. */
export default definePlugin({
  specificationVersion: 'v1',
  contributions: () => [llavaNextVideo, llavaNextVideoSiglip, llavaOneVision, llavaOneVision15],
});
