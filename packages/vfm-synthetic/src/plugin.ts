import { definePlugin, GEOMETRY_FIELDS, type LabelSourceV1 } from '@spatialsv/core/spec';
import { SOURCE_ID } from './identity.js';

/**
 * The label source `synthetic`: exact labels of rendered rooms. It has no weights; its settings are
 * `SyntheticSourceOptions`. The renderer is loaded when the source is opened.
 */
export const syntheticSource: LabelSourceV1 = {
  specificationVersion: 'v1',
  kind: 'label-source',
  id: SOURCE_ID,
  provides: GEOMETRY_FIELDS,
  open: async (options) => (await import('./source.js')).openSyntheticSource(options),
};

/** Contributes the label source `synthetic`. */
export default definePlugin({
  specificationVersion: 'v1',
  contributions: () => [syntheticSource],
});
