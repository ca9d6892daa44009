import { type BackboneAdapterV1, definePlugin } from '@spatialsv/core/spec';
import { isNextVideoSiglip } from './next-video-siglip/model-type.js';
import { llavaOneVision15 } from './onevision-15/adapter.js';

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
  contributions: () => [llavaNextVideoSiglip, llavaOneVision15],
});
