import { countMatches, noMatches } from './correspondence.js';
import { DENSE_CHANNELS, type DenseTask, mapSize } from './dense-targets.js';
import { mapMetrics } from './map-metrics.js';
import { matchMetrics } from './match-probe.js';
import type { Metrics } from './probe-model.js';
import type { ProbeTargets } from './probe-targets.js';
import type { ProbeSet, Split, ViewLayout } from './view-sets.js';

/** The mean map of views of one size. */
interface MeanMap {
  readonly sums: Float64Array;
  readonly counts: Float64Array;
}

/**
 * The best that can be said without looking: at every place of the image the mean over the training views. A held-out view of a
 * size that no training view has gets the mean over all places. Probes with convolutions know places, so one mean for the whole
 * image would be a control that is too easy to beat.
 */
export async function constantMaps(
  task: DenseTask,
  targets: ProbeTargets,
  split: Split,
): Promise<Metrics> {
  const means = new Map<string, MeanMap>();
  const overall = emptyMean(DENSE_CHANNELS[task], 1);
  for (const set of split.train) await addMeans(task, targets, set, means, overall);
  const metrics = mapMetrics(task);
  for (const set of split.heldOut) {
    const layouts = await targets.layout(set);
    for (const [view, target] of (await targets.dense(task, set)).entries())
      metrics.add(meanMap(task, layouts[view]!, means, overall), target);
  }
  return metrics.result();
}

const emptyMean = (channels: number, pixels: number): MeanMap => ({
  sums: new Float64Array(channels * pixels),
  counts: new Float64Array(pixels),
});

const sizeKey = ({ h, w }: ViewLayout): string => `${h}x${w}`;

async function addMeans(
  task: DenseTask,
  targets: ProbeTargets,
  set: ProbeSet,
  means: Map<string, MeanMap>,
  overall: MeanMap,
): Promise<void> {
  const channels = DENSE_CHANNELS[task];
  const layouts = await targets.layout(set);
  for (const [view, { values, mask }] of (await targets.dense(task, set)).entries()) {
    const key = sizeKey(layouts[view]!);
    const mean = means.get(key) ?? emptyMean(channels, mask.length);
    means.set(key, mean);
    mask.forEach((valid, pixel) => {
      if (valid === 0) return;
      mean.counts[pixel]! += 1;
      overall.counts[0]! += 1;
      for (let c = 0; c < channels; c++) {
        mean.sums[pixel * channels + c]! += values[pixel * channels + c]!;
        overall.sums[c]! += values[pixel * channels + c]!;
      }
    });
  }
}

function meanMap(
  task: DenseTask,
  layout: ViewLayout,
  means: ReadonlyMap<string, MeanMap>,
  overall: MeanMap,
): Float32Array {
  const channels = DENSE_CHANNELS[task];
  const { height, width } = mapSize(layout);
  const own = means.get(sizeKey(layout));
  return Float32Array.from({ length: height * width * channels }, (_, i) => {
    const [pixel, channel] = [Math.floor(i / channels), i % channels];
    const count = own?.counts[pixel] ?? 0;
    return count > 0
      ? own!.sums[i]! / count
      : overall.sums[channel]! / Math.max(1, overall.counts[0]!);
  });
}

/** Correspondence without looking: a point is taken to be at the same place of the other view. */
export async function samePlace(targets: ProbeTargets, { heldOut }: Split): Promise<Metrics> {
  const counts = noMatches();
  for (const set of heldOut) {
    const layouts = await targets.layout(set);
    for (const { from, to, matches } of await targets.pairs(set)) {
      const nearness = placeNearness(layouts[from]!, layouts[to]!);
      countMatches(counts, nearness, matches, layouts[to]!);
    }
  }
  return matchMetrics(counts);
}

/** (P, P') minus the distance between the places of cells, in shares of the sides. */
function placeNearness(from: ViewLayout, to: ViewLayout): Float32Array {
  const place = ({ h, w }: ViewLayout, cell: number) => [
    (Math.floor(cell / w) + 0.5) / h,
    ((cell % w) + 0.5) / w,
  ];
  const [rows, columns] = [from.h * from.w, to.h * to.w];
  return Float32Array.from({ length: rows * columns }, (_, i) => {
    const [y, x] = place(from, Math.floor(i / columns)) as [number, number];
    const [v, u] = place(to, i % columns) as [number, number];
    return -Math.hypot(y - v, x - u);
  });
}
