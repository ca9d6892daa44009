import type { BackboneAdapterV1 } from '@spatialsv/core/spec';
import { ADAPTER_ID, MODEL_TYPE } from './model-type.js';

/**
 * Backbone adapter of LLaVA-NeXT-Video with CLIP and Vicuna, in the layout of transformers. The model is loaded when a
 * checkpoint is opened.
 */
export const llavaNextVideo: BackboneAdapterV1 = {
  specificationVersion: 'v1',
  kind: 'backbone-adapter',
  id: ADAPTER_ID,
  accepts: (config) => config['model_type'] === MODEL_TYPE,
  open: async (folder, options) => (await import('./backbone.js')).openNextVideo(folder, options),
  writeTiny: async (options) => (await import('./tiny-checkpoint.js')).writeTinyNextVideo(options),
};
