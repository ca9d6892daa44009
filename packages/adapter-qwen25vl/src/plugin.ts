import { type BackboneAdapterV1, definePlugin } from '@spatialsv/core/spec';
import { ADAPTER_ID, MODEL_TYPE } from './model-type.js';

/**
 * Backbone adapter of Qwen2.5-VL (3B, 7B and any other size of the architecture). The model is loaded when a checkpoint is
 * opened.
 */
export const qwen25Vl: BackboneAdapterV1 = {
  specificationVersion: 'v1',
  kind: 'backbone-adapter',
  id: ADAPTER_ID,
  accepts: (config) => config['model_type'] === MODEL_TYPE,
  open: async (folder, options) =>
    (await import('./qwen25vl-backbone.js')).openQwen25Vl(folder, options),
  writeTiny: async (options) => (await import('./tiny-checkpoint.js')).writeTinyQwen25Vl(options),
};

/** Contributes the backbone adapter `qwen2.5-vl`. */
export default definePlugin({
  specificationVersion: 'v1',
  contributions: () => [qwen25Vl],
});
