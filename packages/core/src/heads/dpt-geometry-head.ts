import { SpatialError } from '../errors.js';
import type { GeometryHeadModelV1, GeometryHeadV1 } from '../spec.js';
import { initialiseHeads } from './head-parameters.js';
import { GEOMETRY_TASKS, headOutputSize, parseHeadsConfig } from './heads-config.js';
import { predictGeometry } from './predict-geometry.js';

/** The paper's heads: two-layer projectors and decoupled DPT heads. Options are those of {@link parseHeadsConfig}. */
export const dptGeometryHead: GeometryHeadV1 = {
  specificationVersion: 'v1',
  kind: 'geometry-head',
  id: 'dpt',
  predicts: GEOMETRY_TASKS,
  configure: (options): GeometryHeadModelV1 => {
    const config = parseHeadsConfig(options);
    return {
      headId: 'dpt',
      options: config,
      tasks: config.tasks,
      tapCount: config.stageChannels.length,
      outputSize: (grid) => headOutputSize(config, grid),
      initialise: (channelsPerTap, seed) => initialiseHeads(config, channelsPerTap, seed),
      doPredict: (parameters, taps, outputSize, tasks = config.tasks) =>
        predictGeometry({ ...config, tasks: [...tasks] }, parameters, taps, outputSize),
    };
  },
};

/**
 * The head of an id where no plugins are loaded.
 * @throws SpatialError PLUGIN_UNKNOWN for any other than `dpt`.
 */
export function builtInGeometryHead(id: string): GeometryHeadV1 {
  if (id === dptGeometryHead.id) return dptGeometryHead;
  throw new SpatialError({
    code: 'PLUGIN_UNKNOWN',
    message: `no geometry-head "${id}". Known: ${dptGeometryHead.id}.`,
    hint: 'Load the plugin that provides it, and give its registry to find heads in.',
  });
}
