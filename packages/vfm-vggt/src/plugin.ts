import { definePlugin, GEOMETRY_FIELDS, type LabelSourceV1 } from '@spatialsv/core/spec';
import { SOURCE_ID } from './identity.js';

/**
 * The label source `vggt`: labels by VGGT (arXiv:2503.11651). Its settings are `VggtSettings`. The network is loaded when
 * the source is opened.
 */
export const vggtSource: Required<LabelSourceV1> = {
  specificationVersion: 'v1',
  kind: 'label-source',
  id: SOURCE_ID,
  provides: GEOMETRY_FIELDS,
  open: async (options) => (await import('./vggt-source.js')).openVggt(options),
  writeTiny: async (options) => (await import('./tiny-weights.js')).writeTinyVggt(options),
};

/** Contributes the label source `vggt`. */
export default definePlugin({
  specificationVersion: 'v1',
  contributions: () => [vggtSource],
});
