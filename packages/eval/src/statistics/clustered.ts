import { groupBy } from '../group-by.js';

/**
 * Standard error of a mean whose values depend on each other within clusters, with the correction G/(G − 1) for G clusters.
 * Source: Cameron and Miller (2015), equation 11, for a constant alone.
 * @returns NaN for fewer than two clusters.
 */
export function clusteredStandardError(
  values: readonly { readonly value: number; readonly cluster: string }[],
): number {
  const mean = values.reduce((sum, { value }) => sum + value, 0) / values.length;
  const clusters = [...groupBy(values, ({ cluster }) => cluster).values()];
  const squares = clusters.reduce((sum, cluster) => {
    const deviation = cluster.reduce((total, { value }) => total + value - mean, 0);
    return sum + deviation * deviation;
  }, 0);
  const count = clusters.length;
  return count < 2 ? Number.NaN : Math.sqrt((squares * count) / (count - 1)) / values.length;
}
