import type { BackboneAdapterV1 } from '@spatialsv/core/spec';
import { ADAPTER_ID, MODEL_TYPE } from './model-type.js';

/**
 * Backbone adapter of LLaVA-OneVision with SigLIP and Qwen2 (0.5B, 7B and any other size), in the layout of transformers. The
 * model is loaded when a checkpoint is opened.
 */
export const llavaOneVision: BackboneAdapterV1 = {
  specificationVersion: 'v1',
  kind: 'backbone-adapter',
  id: ADAPTER_ID,
  accepts: (config) => config['model_type'] === MODEL_TYPE,
  open: async (folder, options) => (await import('./backbone.js')).openOneVision(folder, options),
  writeTiny: async (options) => (await import('./tiny-checkpoint.js')).writeTinyOneVision(options),
};
