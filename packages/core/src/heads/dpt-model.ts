import type { GeometryHeadModelV1 } from '../spec.js';
import { initialiseHeads } from './head-parameters.js';
import { headOutputSize, parseHeadsConfig } from './heads-config.js';
import { predictGeometry } from './predict-geometry.js';

/**
 * DPT heads with their options.
 * @param options those of {@link parseHeadsConfig}.
 * @throws SpatialError CONFIG_INVALID.
 */
export function dptModel(headId: string, options: unknown): GeometryHeadModelV1 {
  const config = parseHeadsConfig(options);
  return {
    headId,
    options: config,
    tasks: config.tasks,
    tapCount: config.tasks.length === 0 ? 0 : config.stageChannels.length,
    outputSize: (grid) => headOutputSize(config, grid),
    initialise: (channelsPerTap, seed) => initialiseHeads(config, channelsPerTap, seed),
    doPredict: (parameters, taps, outputSize, tasks = config.tasks) =>
      predictGeometry({ ...config, tasks: [...tasks] }, parameters, taps, outputSize),
  };
}
