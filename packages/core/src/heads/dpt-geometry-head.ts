import type { GeometryHeadV1 } from '../spec.js';

const ID = 'dpt';

/**
 * The paper's heads: two-layer projectors and decoupled DPT heads. Options are those of `parseHeadsConfig`. The network is
 * loaded when the heads are configured.
 */
export const dptGeometryHead: GeometryHeadV1 = {
  specificationVersion: 'v1',
  kind: 'geometry-head',
  id: ID,
  predicts: ['depth', 'ray', 'point'],
  configure: async (options) => (await import('./dpt-model.js')).dptModel(ID, options),
};
