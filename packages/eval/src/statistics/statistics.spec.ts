import { binomialTail } from './binomial.js';
import { wilsonInterval } from './intervals.js';
import { mcNemar } from './mcnemar.js';
import { permutationTest } from './permutation.js';
import { tablePercentage } from './rounding.js';

describe('binomialTail', () => {
  it('equals closed forms', () => {
    expect(binomialTail(10, 10, 0.5)).toBeCloseTo(2 ** -10, 12);
    expect(binomialTail(1, 7, 0.2)).toBeCloseTo(1 - 0.8 ** 7, 12);
    expect(binomialTail(0, 5, 0.3)).toBe(1);
    expect(binomialTail(6, 5, 0.3)).toBe(0);
  });

  it('equals a direct sum in integer arithmetic', () => {
    expect(binomialTail(90, 200, 0.35)).toBeCloseTo(0.002205636435974473, 12);
    expect(binomialTail(450, 1050, 0.349)).toBeLessThan(1e-6);
  });
});

describe('wilsonInterval', () => {
  it('equals the published example 0 of 10 and is symmetric', () => {
    const [low, high] = wilsonInterval(0, 10);
    expect(low).toBeCloseTo(0, 12);
    expect(high).toBeCloseTo(0.2775328, 6);
    const [otherLow, otherHigh] = wilsonInterval(10, 10);
    expect(otherLow).toBeCloseTo(1 - high, 12);
    expect(otherHigh).toBeCloseTo(1, 12);
  });
});

describe('mcNemar', () => {
  it('counts changes and doubles the tail', () => {
    const before = [true, false, false, false, false, true];
    const after = [true, true, true, true, true, false];
    const result = mcNemar(before, after);
    expect(result).toMatchObject({ lost: 1, gained: 4 });
    expect(result.pValue).toBeCloseTo(2 * (6 / 32), 12);
    expect(mcNemar([true], [true]).pValue).toBe(1);
  });
});

describe('permutationTest', () => {
  const gold = ['A', 'B', 'C', 'A', 'B', 'C', 'A', 'B', 'C', 'A'];

  it('is small for right answers and not for a favourite letter', () => {
    const right = gold.map((letter) => ({ category: 'x', gold: letter, predicted: letter }));
    expect(permutationTest(right, { seed: 1, shuffles: 999 })).toBeLessThan(0.01);
    const constant = gold.map((letter) => ({ category: 'x', gold: letter, predicted: 'A' }));
    expect(permutationTest(constant, { seed: 1, shuffles: 99 })).toBe(1);
  });
});

describe('tablePercentage', () => {
  it('rounds twice, as the paper does', () => {
    expect(tablePercentage(102, 373)).toBe('27.4');
    expect(tablePercentage(747, 1200)).toBe('62.3');
    expect(tablePercentage(72, 200)).toBe('36.0');
    expect(tablePercentage(129, 400)).toBe('32.3');
    expect(tablePercentage(664, 1200)).toBe('55.3');
    expect(tablePercentage(0, 0)).toBe('–');
  });
});
