import { type BackboneAdapterV1, definePlugin } from '@spatialsv/core/spec';
import { ADAPTER_ID, layoutOf } from './model-type.js';

/**
 * Backbone adapter of InternVL3 (1B, 2B, 8B and any other size with InternViT-300M and a Qwen2.5 decoder), in both
 * checkpoint layouts. The model is loaded when a checkpoint is opened.
 */
export const internVl3: BackboneAdapterV1 = {
  specificationVersion: 'v1',
  kind: 'backbone-adapter',
  id: ADAPTER_ID,
  accepts: (config) => layoutOf(config) !== undefined,
  open: async (folder, options) =>
    (await import('./internvl3-backbone.js')).openInternVl3(folder, options),
  writeTiny: async (options) =>
    (await import('./tiny-checkpoint.js')).writeTinyBySettings(ADAPTER_ID, options),
};

/** Contributes the backbone adapter `internvl3`. */
export default definePlugin({
  specificationVersion: 'v1',
  contributions: () => [internVl3],
});
