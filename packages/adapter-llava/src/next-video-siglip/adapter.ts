import type { BackboneAdapterV1 } from '@spatialsv/core/spec';
import { ADAPTER_ID, isNextVideoSiglip } from './model-type.js';

/**
 * Backbone adapter of LLaVA-NeXT-Video with SigLIP and Qwen2 (LLaVA-Video-7B-Qwen2), in the layout of the original code. The
 * model is loaded when a checkpoint is opened.
 */
export const llavaNextVideoSiglip: BackboneAdapterV1 = {
  specificationVersion: 'v1',
  kind: 'backbone-adapter',
  id: ADAPTER_ID,
  accepts: isNextVideoSiglip,
  open: async (folder, options) =>
    (await import('./backbone.js')).openNextVideoSiglip(folder, options),
  writeTiny: async (options) =>
    (await import('./tiny-checkpoint.js')).writeTinyNextVideoSiglip(options),
};
