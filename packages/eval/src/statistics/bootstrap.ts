import { createRandom } from '@spatialsv/core';

export interface BootstrapOptions {
  readonly seed: number;
  /** Default 10,000. */
  readonly draws?: number;
}

/**
 * Percentile interval, 95 %, of a mean: values are drawn again with replacement, whole clusters at a time.
 * @param clusters values that belong together, one list a cluster.
 */
export function bootstrapMean(
  clusters: readonly (readonly number[])[],
  { seed, draws = 10_000 }: BootstrapOptions,
): readonly [number, number] {
  const random = createRandom(seed);
  const sums = clusters.map((values) => values.reduce((sum, value) => sum + value, 0));
  const means = Float64Array.from({ length: draws }, () => {
    let [sum, count] = [0, 0];
    for (let i = 0; i < clusters.length; i += 1) {
      const drawn = random.integer(clusters.length);
      sum += sums[drawn]!;
      count += clusters[drawn]!.length;
    }
    return sum / count;
  }).toSorted();
  return [quantile(means, 0.025), quantile(means, 0.975)];
}

/** Linear between the two nearest, as numpy does it. */
export function quantile(sorted: Float64Array, share: number): number {
  const place = share * (sorted.length - 1);
  const low = Math.floor(place);
  const next = sorted[Math.min(low + 1, sorted.length - 1)]!;
  return sorted[low]! + (place - low) * (next - sorted[low]!);
}
