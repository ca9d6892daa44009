import { definePlugin, GEOMETRY_FIELDS, type LabelSourceV1 } from '@spatialsv/core/spec';
import { SOURCE_ID } from './identity.js';

/**
 * The label source `onnx`: any network that was exported to ONNX and gives depth. `weights` is a folder, a graph or its
 * description; `settings` has the keys of the description and counts before it.
 */
export const onnxSource: LabelSourceV1 = {
  specificationVersion: 'v1',
  kind: 'label-source',
  id: SOURCE_ID,
  provides: GEOMETRY_FIELDS,
  open: async (options) => (await import('./source.js')).openOnnxSource(options),
};

/** Contributes the label source `onnx`. */
export default definePlugin({
  specificationVersion: 'v1',
  contributions: () => [onnxSource],
});
