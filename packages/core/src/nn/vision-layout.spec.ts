import { inverseOrder, patchLayout, windowsOf } from './vision-layout.js';

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

describe('patchLayout', () => {
  const config = { cellSide: 2, windows: { side: 4, wholeBlocks: [] } };

  it.each([
    [10, 18],
    [16, 16],
    [2, 2],
    [8, 10],
  ])('puts every one of %i×%i patches in a window, equal windows side by side', (h, w) => {
    const { given, rowMajor, windows } = patchLayout(config, { h, w });
    const natural = Array.from({ length: h * w }, (_, i) => i);
    for (const order of [given, rowMajor]) {
      if (order) expect([...order].sort((a, b) => a - b)).toEqual(natural);
    }
    expect(windows!.reduce((sum, { count, tokens }) => sum + count * tokens, 0)).toBe(h * w);
    expect(new Set(windows!.map(({ tokens }) => tokens)).size).toBe(windows!.length);
  });

  it('knows where a patch lies in the image', () => {
    const { rowMajor, windows } = patchLayout({ cellSide: 2 }, { h: 4, w: 6 });
    // Patch 7 in cell order: cell 1, its fourth patch, so row 1 and column 3.
    expect(rowMajor![7]).toBe(6 + 3);
    expect(windows).toBeUndefined();
  });

  it('has nothing to reorder where patches come row by row and attend to all', () => {
    expect(patchLayout({}, { h: 3, w: 5 })).toEqual({});
  });
});

describe('inverseOrder', () => {
  it('undoes a permutation', () => {
    expect([...inverseOrder(Int32Array.of(2, 0, 1))]).toEqual([1, 2, 0]);
  });
});
