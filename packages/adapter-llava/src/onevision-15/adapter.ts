import type { BackboneAdapterV1 } from '@spatialsv/core/spec';
import { ADAPTER_ID, MODEL_TYPE } from './model-type.js';

/** Backbone adapter of LLaVA-OneVision-1.5 (4B, 8B and any other size). The model is loaded when a checkpoint is opened. */
export const llavaOneVision15: BackboneAdapterV1 = {
  specificationVersion: 'v1',
  kind: 'backbone-adapter',
  id: ADAPTER_ID,
  accepts: (config) => config['model_type'] === MODEL_TYPE,
  open: async (folder, options) => (await import('./backbone.js')).openOneVision15(folder, options),
  writeTiny: async (options) =>
    (await import('./tiny-checkpoint.js')).writeTinyOneVision15(options),
};
