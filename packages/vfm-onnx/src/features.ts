import type { ImageSize } from '@spatialsv/core/kit';
import { sizeOf } from '@spatialsv/core/kit';
import type { GeometryLabelsV1 } from '@spatialsv/core/spec';
import type { OutputsPlan } from './plan-outputs.js';
import { reject } from './reject.js';
import type { Outputs } from './run-graph.js';

/**
 * Features of the patches, of the last layer where the output holds several: (…, views, tokens, channels).
 * @param size of the network's input.
 * @throws SpatialError DATA_INVALID when tokens or views do not fit.
 */
export function readFeatures(
  { name, patch, specialTokens }: NonNullable<OutputsPlan['features']>,
  { height, width }: ImageSize,
  { graph, results, views }: Outputs,
): NonNullable<GeometryLabelsV1['features']> {
  const [h, w] = [Math.floor(height / patch), Math.floor(width / patch)];
  const { shape, data: stored } = results[name]!;
  const [tokens = 0, channels = 0] = shape.slice(-2);
  const stacked = sizeOf(shape.slice(0, -2));
  const perView = h * w * channels;
  if (tokens !== specialTokens + h * w || stacked % views !== 0 || perView === 0) {
    throw reject(
      graph,
      `expected "${name}" to be (…, ${views}, ${specialTokens} + ${h}·${w}, channels), found (${shape.join(', ')})`,
    );
  }
  const data = new Float32Array(views * perView);
  for (let view = 0; view < views; view++) {
    const first = ((stacked - views + view) * tokens + specialTokens) * channels;
    data.set((stored as Float32Array).subarray(first, first + perView), view * perView);
  }
  return { data, h, w, channels };
}
