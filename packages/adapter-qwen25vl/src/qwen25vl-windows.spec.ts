import { config3B } from './__fixtures__/published-configs.js';
import { parseQwen25VlConfig } from './qwen25vl-config.js';
import { windowLayout, windowsOf } from './qwen25vl-windows.js';

describe('windowsOf', () => {
  it('cuts a 3×5 grid into ragged windows of two cells a side', () => {
    expect(windowsOf(3, 5, 2)).toEqual([
      [0, 1, 5, 6],
      [2, 3, 7, 8],
      [4, 9],
      [10, 11],
      [12, 13],
      [14],
    ]);
  });

  it('makes no empty windows when the grid is a multiple of the window', () => {
    expect(windowsOf(4, 8, 4).map((window) => window.length)).toEqual([16, 16]);
  });
});

describe('windowLayout', () => {
  const { vision } = parseQwen25VlConfig(config3B);

  it.each([
    [10, 18],
    [16, 16],
    [2, 2],
    [8, 10],
  ])('is a permutation with its inverse for %i×%i patches', (rows, columns) => {
    const { order, inverse, groups } = windowLayout(vision, rows, columns);
    expect([...order].sort((a, b) => a - b)).toEqual(
      Array.from({ length: rows * columns }, (_, i) => i),
    );
    expect(order.every((patch, place) => inverse[patch] === place)).toBe(true);
    expect(groups.reduce((sum, { count, patches }) => sum + count * patches, 0)).toBe(
      rows * columns,
    );
    expect(new Set(groups.map(({ patches }) => patches)).size).toBe(groups.length);
  });

  it('has rotary angles of row and column', () => {
    const { order, cos } = windowLayout(vision, 4, 6);
    // Patch 7 of the processor order: cell 1, its fourth patch, so row 1 and column 3.
    const place = order.indexOf(7);
    const inverse = (i: number) => 10000 ** (-i / 20);
    expect(cos[place * 40 + 3]).toBeCloseTo(Math.cos(inverse(3)), 6);
    expect(cos[place * 40 + 20 + 3]).toBeCloseTo(Math.cos(3 * inverse(3)), 6);
  });
});
