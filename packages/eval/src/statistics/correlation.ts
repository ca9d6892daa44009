import { createRandom } from '@spatialsv/core';
import type { BootstrapOptions } from './bootstrap.js';
import { quantile } from './bootstrap.js';
import { studentTwoSided } from './distributions.js';
import { Z95 } from './intervals.js';

/** A correlation coefficient of pairs. */
export interface Correlation {
  readonly coefficient: number;
  /** Two-sided, of "no correlation"; from Student's t with n − 2 degrees of freedom. NaN for fewer than three pairs. */
  readonly pValue: number;
}

/**
 * Pearson's product-moment correlation. @returns NaN for fewer than two pairs, and where a side is constant.
 */
export function pearson(x: readonly number[], y: readonly number[]): Correlation {
  const coefficient = coefficientOf(x, y);
  return { coefficient, pValue: correlationPValue(coefficient, x.length) };
}

/** Spearman's rank correlation: Pearson's of the ranks, ties taking the mean of their ranks. */
export const spearman = (x: readonly number[], y: readonly number[]): Correlation =>
  pearson(midRanks(x), midRanks(y));

function coefficientOf(x: readonly number[], y: readonly number[]): number {
  const n = x.length;
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / n;
  const [meanX, meanY] = [mean(x), mean(y)];
  let [product, squaresX, squaresY] = [0, 0, 0];
  for (let i = 0; i < n; i++) {
    const [dx, dy] = [x[i]! - meanX, y[i]! - meanY];
    product += dx * dy;
    squaresX += dx * dx;
    squaresY += dy * dy;
  }
  const r = product / Math.sqrt(squaresX * squaresY);
  return Math.max(-1, Math.min(1, r));
}

function correlationPValue(r: number, n: number): number {
  if (n < 3 || Number.isNaN(r)) return Number.NaN;
  if (Math.abs(r) === 1) return 0;
  return studentTwoSided(r * Math.sqrt((n - 2) / ((1 - r) * (1 + r))), n - 2);
}

/** Ranks from 1; equal values share the mean of their ranks. */
export function midRanks(values: readonly number[]): number[] {
  const order = values.map((_, i) => i).sort((a, b) => values[a]! - values[b]!);
  const ranks = new Array<number>(values.length);
  for (let from = 0; from < order.length; ) {
    let to = from;
    while (to + 1 < order.length && values[order[to + 1]!] === values[order[from]!]) to++;
    for (let i = from; i <= to; i++) ranks[order[i]!] = (from + to) / 2 + 1;
    from = to + 1;
  }
  return ranks;
}

/**
 * Interval, 95 %, of a correlation through Fisher's z: tanh(artanh r ± 1.96 · error).
 * @param kind error of z: 1/√(n − 3) for Pearson's; √((1 + r²/2)/(n − 3)) for Spearman's (Bonett and Wright, 2000).
 * @returns undefined for fewer than four pairs, and without a coefficient.
 */
export function fisherInterval(
  r: number,
  n: number,
  kind: 'pearson' | 'spearman',
): readonly [number, number] | undefined {
  if (n < 4 || Number.isNaN(r)) return undefined;
  const error = Math.sqrt((kind === 'pearson' ? 1 : 1 + (r * r) / 2) / (n - 3));
  const z = Math.atanh(r);
  return [Math.tanh(z - Z95 * error), Math.tanh(z + Z95 * error)];
}

/**
 * Percentile interval, 95 %, of a correlation: pairs are drawn again with replacement, whole clusters at a time. Draws in which
 * a side is constant have no coefficient and are left out.
 * @param clusters numbers of pairs that belong together; each pair by itself where absent.
 * @returns undefined for fewer than four clusters.
 */
export function bootstrapCorrelation(
  x: readonly number[],
  y: readonly number[],
  statistic: typeof pearson,
  {
    seed,
    draws = 10_000,
    clusters,
  }: BootstrapOptions & { clusters?: readonly (readonly number[])[] },
): readonly [number, number] | undefined {
  const groups = clusters ?? x.map((_, i) => [i]);
  if (groups.length < 4) return undefined;
  const random = createRandom(seed);
  const found: number[] = [];
  for (let draw = 0; draw < draws; draw++) {
    const drawn = groups.flatMap(() => groups[random.integer(groups.length)]!);
    const { coefficient } = statistic(
      drawn.map((i) => x[i]!),
      drawn.map((i) => y[i]!),
    );
    if (!Number.isNaN(coefficient)) found.push(coefficient);
  }
  if (found.length === 0) return undefined;
  const sorted = Float64Array.from(found).sort();
  return [quantile(sorted, 0.025), quantile(sorted, 0.975)];
}
