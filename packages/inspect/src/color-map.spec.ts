import { colorize, colorTable, valueRange } from './color-map.js';

const entry = (name: 'turbo' | 'viridis', level: number) => [
  ...colorTable(name).subarray(level * 3, level * 3 + 3),
];

describe('colorTable', () => {
  // Published tables: matplotlib 3.10 `viridis` and `turbo`.
  it.each([
    ['viridis', 0, [68, 1, 84]],
    ['viridis', 127, [33, 144, 141]],
    ['viridis', 255, [253, 231, 37]],
    ['viridis', 192, [94, 201, 98]],
    ['turbo', 64, [40, 188, 235]],
    ['turbo', 128, [164, 252, 60]],
    ['turbo', 192, [251, 126, 33]],
  ] as const)('%s at %i is close to the published table', (name, level, expected) => {
    const found = entry(name, level);
    expected.forEach((value, c) => {
      expect(Math.abs(found[c]! - value)).toBeLessThanOrEqual(2);
    });
  });
});

describe('colorize', () => {
  it('spans the range, reverses, and greys out what is masked or not finite', () => {
    const values = Float32Array.of(1, 3, Number.NaN, 2);
    const mask = Uint8Array.of(1, 1, 1, 0);
    const range = { min: 1, max: 3 };
    const { data } = colorize(values, 2, 2, { map: 'viridis', range, mask, reverse: true });
    expect([...data.subarray(0, 3)]).toEqual(entry('viridis', 255));
    expect([...data.subarray(3, 6)]).toEqual(entry('viridis', 0));
    expect([...data.subarray(6)]).toEqual(Array(6).fill(127));
  });
});

describe('colorize of a range that is empty', () => {
  it('takes the middle of the map', () => {
    const range = { min: 2, max: 2 };
    const { data } = colorize(Float32Array.of(2, 2), 1, 2, { map: 'viridis', range });
    expect([...data]).toEqual([...entry('viridis', 128), ...entry('viridis', 128)]);
  });
});

describe('valueRange', () => {
  it.each([0, 1e-30, -4, 3e8, 1e20, -3e38])('has room around the constant %d', (constant) => {
    const values = new Float32Array(4).fill(constant);
    const { min, max } = valueRange(values, undefined, 0, 1);
    const step = (max - min) / 65534;
    expect(Math.round((values[0]! - min) / step)).toBe(32767);
  });

  it('ignores masked and non-finite values and never is empty', () => {
    const mask = Uint8Array.of(1, 1, 0, 1);
    expect(valueRange(Float32Array.of(1, 4, 99, Number.NaN), mask, 0, 1)).toEqual({
      min: 1,
      max: 4,
    });
    expect(valueRange(Float32Array.of(2, 2))).toEqual({ min: 1.5, max: 2.5 });
    expect(valueRange(new Float32Array(0))).toEqual({ min: 0, max: 1 });
  });
});
