import { definePlugin, GEOMETRY_FIELDS, type LabelSourceV1 } from '@spatialsv/core/spec';
import { SOURCE_ID } from './identity.js';

/**
 * The label source `dav3`: labels by Depth Anything 3 (arXiv:2511.10647). Its settings are `Da3Settings`. The network is
 * loaded when the source is opened.
 */
export const da3Source: Required<LabelSourceV1> = {
  specificationVersion: 'v1',
  kind: 'label-source',
  id: SOURCE_ID,
  provides: GEOMETRY_FIELDS,
  open: async (options) => (await import('./da3-source.js')).openDa3Source(options),
  writeTiny: async (options) => (await import('./tiny-weights.js')).writeTiny(options),
};

/** Contributes the label source `dav3`. */
export default definePlugin({
  specificationVersion: 'v1',
  contributions: () => [da3Source],
});
