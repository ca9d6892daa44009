import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createRandom } from '@spatialsv/core';
import {
  bootstrapCorrelation,
  type Correlation,
  fisherInterval,
  midRanks,
  pearson,
  spearman,
} from './correlation.js';
import { normalTwoSided, studentTwoSided } from './distributions.js';
import { cochranArmitage } from './trend.js';

interface Pairs {
  readonly name: string;
  readonly x: readonly number[];
  readonly y: readonly number[];
  readonly pearson: Correlation;
  readonly spearman: Correlation;
  readonly interval: readonly [number, number] | null;
  readonly ranks: readonly number[];
}

/** Made by reference/benchmarks/make_correlations.py with SciPy 1.17 and statsmodels 0.14. */
const golden = JSON.parse(readFileSync(join(__dirname, '__golden__/correlations.json'), 'utf8'));

function expectEqual(found: Correlation, expected: Correlation): void {
  expect(found.coefficient).toBeCloseTo(expected.coefficient, 12);
  expect(Math.abs(found.pValue / expected.pValue - 1)).toBeLessThan(1e-9);
}

describe('correlations equal those of SciPy', () => {
  it.each<Pairs>(golden.pairs)('$name', ({ x, y, interval, ranks, ...expected }) => {
    expectEqual(pearson(x, y), expected.pearson);
    expectEqual(spearman(x, y), expected.spearman);
    expect(midRanks(x)).toEqual(ranks);
    const found = fisherInterval(expected.pearson.coefficient, x.length, 'pearson');
    expect(found === undefined).toBe(interval === null);
    found?.forEach((end, i) => {
      expect(end).toBeCloseTo(interval![i]!, 12);
    });
  });

  it('have none where a side is constant, and a p-value of 0 on a line', () => {
    expect(pearson([1, 1, 1], [1, 2, 3])).toEqual({ coefficient: Number.NaN, pValue: Number.NaN });
    expect(spearman([1, 2, 3, 4], [1, 10, 100, 1000])).toEqual({ coefficient: 1, pValue: 0 });
    expect(pearson([1, 2], [2, 1]).pValue).toBeNaN();
  });
});

describe('the trend test', () => {
  it.each<{ successes: number[]; trials: number[]; z: number; pValue: number }>(golden.trends)(
    'equals statsmodels for $successes of $trials',
    ({ successes, trials, z, pValue }) => {
      const found = cochranArmitage(
        successes.map((count, i) => ({ successes: count, trials: trials[i]! })),
      );
      expect(found.z).toBeCloseTo(z, 10);
      expect(found.pValue).toBeCloseTo(pValue, 10);
    },
  );

  it('equals the published example of R: X-squared = 8.2249, p = 0.004132', () => {
    const [patients, smokers] = [
      [86, 93, 136, 82],
      [83, 90, 129, 70],
    ];
    const groups = smokers!.map((successes, i) => ({ successes, trials: patients![i]! }));
    const { z, pValue } = cochranArmitage(groups);
    expect(z).toBeLessThan(0);
    expect(z * z).toBeCloseTo(8.2249, 4);
    expect(pValue).toBeCloseTo(0.004132, 6);
  });

  it('says nothing where all are alike, or of one group', () => {
    expect(
      cochranArmitage([
        { successes: 3, trials: 3 },
        { successes: 4, trials: 4 },
      ]).z,
    ).toBeNaN();
    expect(cochranArmitage([{ successes: 1, trials: 3 }]).pValue).toBeNaN();
  });
});

describe('tails of distributions equal those of SciPy', () => {
  it.each<{ t: number; degrees: number; pValue: number }>(golden.students)(
    'Student, t $t of $degrees',
    ({ t, degrees, pValue }) => {
      expect(Math.abs(studentTwoSided(t, degrees) / pValue - 1)).toBeLessThan(1e-9);
    },
  );

  it.each<{ z: number; pValue: number }>(golden.normals)('normal, z $z', ({ z, pValue }) => {
    expect(Math.abs(normalTwoSided(z) / pValue - 1)).toBeLessThan(1e-11);
  });
});

describe('the bootstrap of a correlation', () => {
  const random = createRandom(4);
  const x = Array.from({ length: 60 }, () => random.normal());
  const y = x.map((value) => 0.7 * value + random.normal());

  it('agrees with Fisher’s interval, and is the same for the same seed', () => {
    const { coefficient } = pearson(x, y);
    const fisher = fisherInterval(coefficient, x.length, 'pearson')!;
    const found = bootstrapCorrelation(x, y, pearson, { seed: 1, draws: 2000 })!;
    expect(bootstrapCorrelation(x, y, pearson, { seed: 1, draws: 2000 })).toEqual(found);
    found.forEach((end, i) => {
      expect(Math.abs(end - fisher[i]!)).toBeLessThan(0.06);
    });
  });

  it('is wider where pairs come in clusters of copies', () => {
    const copies = x.slice(0, 20).flatMap((value, i) => [0, 1, 2].map(() => [value, y[i]!]));
    const [cx, cy] = [copies.map(([a]) => a!), copies.map(([, b]) => b!)];
    const clusters = Array.from({ length: 20 }, (_, i) => [3 * i, 3 * i + 1, 3 * i + 2]);
    const width = (interval: readonly [number, number]) => interval[1] - interval[0];
    const options = { seed: 2, draws: 2000 };
    const apart = bootstrapCorrelation(cx, cy, spearman, options)!;
    const together = bootstrapCorrelation(cx, cy, spearman, { ...options, clusters })!;
    expect(width(together)).toBeGreaterThan(1.3 * width(apart));
    expect(bootstrapCorrelation([1, 2], [1, 2], pearson, { seed: 1 })).toBeUndefined();
  });
});
