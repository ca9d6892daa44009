import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { binomialTail } from './binomial.js';
import { bootstrapMean } from './bootstrap.js';
import { clusteredStandardError } from './clustered.js';
import { wilsonInterval } from './intervals.js';
import { mcNemar } from './mcnemar.js';

/** Made by reference/benchmarks/make_statistics.py with SciPy 1.17 and statsmodels 0.14. */
const golden = JSON.parse(readFileSync(join(__dirname, '__golden__/statistics.json'), 'utf8'));

interface Clustered {
  readonly values: readonly number[];
  readonly clusters: readonly string[];
  readonly error: number;
}

describe('statistics equal those of SciPy and statsmodels', () => {
  it.each<Clustered>(golden.clustered)(
    'clustered standard error $error',
    ({ values, clusters, error }) => {
      const given = values.map((value, i) => ({ value, cluster: clusters[i]! }));
      expect(clusteredStandardError(given)).toBeCloseTo(error, 12);
    },
  );

  it.each<{ correct: number; total: number; interval: [number, number] }>(golden.wilson)(
    'Wilson interval of $correct of $total',
    ({ correct, total, interval }) => {
      const found = wilsonInterval(correct, total);
      expect(found[0]).toBeCloseTo(interval[0], 12);
      expect(found[1]).toBeCloseTo(interval[1], 12);
    },
  );

  it.each<{ lost: number; gained: number; p: number }>(golden.mcnemar)(
    'exact McNemar test of $lost and $gained',
    ({ lost, gained, p }) => {
      const before = [...Array(lost).fill(true), ...Array(gained).fill(false), true, false];
      const after = [...Array(lost).fill(false), ...Array(gained).fill(true), true, false];
      expect(mcNemar(before, after).pValue).toBeCloseTo(p, 10);
    },
  );

  it.each<{ successes: number; trials: number; rate: number; tail: number }>(golden.binomial)(
    'binomial tail of $successes in $trials',
    ({ successes, trials, rate, tail }) => {
      expect(binomialTail(successes, trials, rate)).toBeCloseTo(tail, 10);
    },
  );
});

describe('bootstrap', () => {
  it('agrees with the standard error of a mean, and with that of clusters', () => {
    const values = Array.from({ length: 400 }, (_, i) => (i % 4 === 0 ? 1 : 0));
    const [low, high] = bootstrapMean(
      values.map((value) => [value]),
      { seed: 3 },
    );
    const error = Math.sqrt((0.25 * 0.75) / 400);
    expect((high - low) / 2).toBeCloseTo(1.96 * error, 2);
    const clusters = Array.from({ length: 40 }, (_, i) => Array(10).fill(i % 4 === 0 ? 1 : 0));
    const wide = bootstrapMean(clusters, { seed: 3 });
    expect((wide[1] - wide[0]) / 2).toBeCloseTo(1.96 * error * Math.sqrt(10), 1);
    expect(bootstrapMean(clusters, { seed: 3 })).toEqual(wide);
  });
});
