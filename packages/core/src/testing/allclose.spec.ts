import { expectAllclose, toBeAllclose } from './allclose.js';

describe('toBeAllclose', () => {
  it('accepts values within the tolerance', () => {
    expectAllclose([1, 2, 0], [1.00001, 2.00001, 1e-9], { rtol: 1e-4, atol: 1e-8 });
  });

  it('names the worst index', () => {
    const result = toBeAllclose([1, 5, 2.1], [1, 2, 2]);
    expect(result.pass).toBe(false);
    expect(result.message()).toContain('worst at index 1: expected 2, found 5');
  });

  it.each([
    [Number.NaN, Number.POSITIVE_INFINITY],
    [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY],
    [1, Number.NaN],
    [Number.NaN, 1],
  ])('does not take %p for %p', (actual, expected) => {
    expect(toBeAllclose([actual], [expected], { rtol: 1, atol: 1 }).pass).toBe(false);
  });

  it('takes a non-finite value for itself', () => {
    expectAllclose([Number.NaN, -1 / 0], [Number.NaN, Number.NEGATIVE_INFINITY]);
  });

  it('refuses different lengths', () => {
    expect(() => expectAllclose([1], [1, 2])).toThrow('expected 2 values, found 1');
  });

  it('accepts only equal values with zero tolerance', () => {
    expect(toBeAllclose([0, 1], [0, 1], { rtol: 0, atol: 0 }).pass).toBe(true);
    expect(toBeAllclose([0], [1e-30], { rtol: 0, atol: 0 }).pass).toBe(false);
  });
});
