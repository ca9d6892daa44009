import { createRandom, poolFeatures, SpatialError } from '@spatialsv/core';
import { ByteCache } from '../data/byte-cache.js';
import { coveredPart } from '../data/sample-preparation.js';
import type { CellFeatures, FeatureSite, FeatureStore } from './feature-store.js';
import type { ProbeTargets } from './probe-targets.js';
import type { ProbeSet } from './view-sets.js';

/** What a probe reads: states of the cells of every view of a set, of equal channels throughout. */
export interface FeatureSource {
  read(set: ProbeSet): Promise<readonly CellFeatures[]>;
}

/** States of a site, or pixels, as they were extracted. */
export const storedFeatures = (store: FeatureStore, site: FeatureSite): FeatureSource => ({
  read: ({ id }) => store.read(id, site),
});

const RANDOM_CHANNELS = 64;

/** Independent normal numbers, equal at every reading: what a probe says that knows nothing of the image. */
export const randomFeatures = (targets: ProbeTargets, seed: number): FeatureSource => ({
  async read(set) {
    const layouts = await targets.layout(set);
    const random = createRandom(seed * 2 ** 32 + Number.parseInt(set.id.slice(0, 8), 16));
    return layouts.map(({ h, w }) => ({
      data: random.normals(h * w * RANDOM_CHANNELS),
      channels: RANDOM_CHANNELS,
    }));
  },
});

/**
 * Features that the label source itself gave, averaged onto the cells: what can be read of features that were made for this.
 * @throws SpatialError DATA_INVALID for labels without features.
 */
export const labelFeatures = (targets: ProbeTargets): FeatureSource => ({
  async read(set) {
    const { features, views } = targets.labels(set);
    if (features === undefined) throw withoutFeatures(set);
    const layouts = await targets.layout(set);
    const { h, w, channels } = features;
    const size = h * w * channels;
    return Array.from({ length: views }, (_, view) => {
      const layout = layouts[view]!;
      const data = features.data.subarray(view * size, (view + 1) * size);
      const part = coveredPart(layout, layout.image);
      return { data: poolFeatures({ data, views: 1, h, w, channels }, layout, part), channels };
    });
  },
});

const withoutFeatures = ({ images }: ProbeSet): SpatialError =>
  new SpatialError({
    code: 'DATA_INVALID',
    message: `labels of ${images[0]}: expected features, as other view sets of this store have them, found none`,
    hint: 'Label these view sets again with the settings of the others, or leave the control out with --controls.',
  });

/** The same source, with what was read last kept in memory. @param bytes at most. */
export function keptFeatures(source: FeatureSource, bytes: number): FeatureSource {
  const cache = new ByteCache<readonly CellFeatures[]>(bytes, (views) =>
    views.reduce((sum, { data }) => sum + data.byteLength, 0),
  );
  return { read: (set) => cache.get(set.id, () => source.read(set)) };
}

/** (C) of the cells of some view sets. */
export interface ChannelStatistics {
  readonly mean: Float32Array;
  /** 1 / standard deviation; 0 for a channel that never changes. */
  readonly inverse: Float32Array;
}

/** Mean and spread of every channel, in float64. */
export async function channelStatistics(
  source: FeatureSource,
  sets: readonly ProbeSet[],
): Promise<ChannelStatistics> {
  let [sum, squares, cells] = [new Float64Array(0), new Float64Array(0), 0];
  for (const set of sets)
    for (const { data, channels } of await source.read(set)) {
      if (sum.length === 0)
        [sum, squares] = [new Float64Array(channels), new Float64Array(channels)];
      for (let start = 0; start < data.length; start += channels)
        for (let c = 0; c < channels; c++) {
          const value = data[start + c]!;
          sum[c]! += value;
          squares[c]! += value * value;
        }
      cells += data.length / channels;
    }
  const mean = Float32Array.from(sum, (value) => value / cells);
  const inverse = Float32Array.from(squares, (square, c) => {
    const average = sum[c]! / cells;
    const variance = square / cells - average * average;
    return variance > 1e-12 * (square / cells) && variance > 0 ? 1 / Math.sqrt(variance) : 0;
  });
  return { mean, inverse };
}
