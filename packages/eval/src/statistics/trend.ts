import { normalTwoSided } from './distributions.js';

/** Successes and trials of one ordered group. */
export interface TrendGroup {
  readonly successes: number;
  readonly trials: number;
}

export interface TrendTest {
  /** Positive where the share of successes rises. NaN where nothing can be said: one group, or all alike. */
  readonly z: number;
  /** Two-sided. */
  readonly pValue: number;
}

/**
 * Cochran–Armitage test for a trend of proportions over ordered groups, with scores 1, 2, 3 …, without correction for
 * continuity: z = Σ s(x − n·p̄) / √(p̄(1 − p̄)(Σ n·s² − (Σ n·s)²/N)).
 * Source: Armitage (1955); its square is the statistic of R's `prop.trend.test`.
 */
export function cochranArmitage(groups: readonly TrendGroup[]): TrendTest {
  const sum = (of: (group: TrendGroup, score: number) => number) =>
    groups.reduce((total, group, i) => total + of(group, i + 1), 0);
  const all = sum(({ trials }) => trials);
  const rate = sum(({ successes }) => successes) / all;
  const excess = sum(({ successes, trials }, score) => score * (successes - trials * rate));
  const spread =
    sum(({ trials }, score) => trials * score * score) -
    sum(({ trials }, score) => trials * score) ** 2 / all;
  const variance = rate * (1 - rate) * spread;
  const z = variance > 0 ? excess / Math.sqrt(variance) : Number.NaN;
  return { z, pValue: Number.isNaN(z) ? Number.NaN : normalTwoSided(z) };
}
