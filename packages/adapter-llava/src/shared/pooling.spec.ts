import { tf } from '@spatialsv/core/kit';
import { cellSide, endFrame, endRows, pooledSide, poolGrid } from './pooling.js';

beforeAll(() => tf.setBackend('cpu'));

/** Channel 0 holds the row, channel 1 the column. */
const numbered = (side: number) =>
  tf.tensor2d(
    Array.from({ length: side * side }, (_, i) => [Math.floor(i / side), i % side]),
    [side * side, 2],
  );

describe('poolGrid', () => {
  it.each([
    ['average', [0.5, 0.5, 0.5, 2.5, 2.5, 0.5, 2.5, 2.5]],
    ['max', [1, 1, 1, 3, 3, 1, 3, 3]],
  ] as const)('by %s keeps whole cells, row by row', (mode, expected) => {
    const pooled = poolGrid(numbered(5), 5, { mode, stride: 2 });
    expect([...pooled.dataSync()]).toEqual(expected);
  });

  it('by bilinear interpolation has cell centres where they lie in the finer grid', () => {
    const pooling = { mode: 'bilinear', stride: 2 } as const;
    const values = [...poolGrid(numbered(5), 5, pooling).dataSync()];
    expect(pooledSide(5, pooling)).toBe(3);
    expect(cellSide(5, pooling)).toBeCloseTo(5 / 3);
    // (i + ½) · 5/3 − ½, inside the grid of five.
    const centres = [1 / 3, 2, 11 / 3];
    const expected = centres.flatMap((row) => centres.flatMap((column) => [row, column]));
    values.forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i]!, 5);
    });
  });
});

describe('newlines', () => {
  const newline = tf.tensor1d([7, 8]);

  it('follow each row of the grid', () => {
    const rows = endRows(numbered(2), 2, newline);
    expect(rows.arraySync()).toEqual([
      [0, 0],
      [0, 1],
      [7, 8],
      [1, 0],
      [1, 1],
      [7, 8],
    ]);
  });

  it('follow a frame', () => {
    expect(endFrame(numbered(1), newline).arraySync()).toEqual([
      [0, 0],
      [7, 8],
    ]);
  });
});
