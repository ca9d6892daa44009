import type { GeometryLabelsV1, ImageSize } from '@spatialsv/core';
import type { OutputsPlan } from './plan-outputs.js';
import { reject } from './reject.js';
import type { Outputs } from './run-graph.js';

/**
 * Features of the patches, of the last layer where the output holds several: (…, views, tokens, channels).
 * @throws SpatialError DATA_INVALID when tokens or views do not fit.
 */
export function readFeatures(
  { name, patch, specialTokens }: NonNullable<OutputsPlan['features']>,
  { height, width }: ImageSize,
  { graph, runs, viewsPerRun }: Outputs,
): NonNullable<GeometryLabelsV1['features']> {
  const [h, w] = [Math.floor(height / patch), Math.floor(width / patch)];
  const channels = runs[0]![name]!.shape.at(-1) ?? 0;
  const perView = h * w * channels;
  const data = new Float32Array(runs.length * viewsPerRun * perView);
  for (const [run, results] of runs.entries()) {
    const { shape, data: stored } = results[name]!;
    const tokens = shape.at(-2) ?? 0;
    const stacked = shape.slice(0, -2).reduce((product, size) => product * size, 1);
    if (tokens !== specialTokens + h * w || stacked % viewsPerRun !== 0 || perView === 0) {
      throw reject(
        graph,
        `expected "${name}" to be (…, ${viewsPerRun}, ${specialTokens} + ${h}·${w}, channels), found (${shape.join(', ')})`,
      );
    }
    for (let view = 0; view < viewsPerRun; view++) {
      const first = (stacked - viewsPerRun + view) * tokens + specialTokens;
      const patches = (stored as Float32Array).subarray(
        first * channels,
        (first + h * w) * channels,
      );
      data.set(patches, (run * viewsPerRun + view) * perView);
    }
  }
  return { data, h, w, channels };
}
