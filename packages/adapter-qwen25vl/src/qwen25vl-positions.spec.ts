import { mropePositions } from './qwen25vl-positions.js';

const IMAGE = 9;
const text = (count: number) => new Array<number>(count).fill(1);
const image = (count: number) => new Array<number>(count).fill(IMAGE);

describe('mropePositions', () => {
  it('follows the worked example: 3 text, 3×5, 2 text, 2×2, 4 text', () => {
    const ids = Int32Array.from([...text(3), ...image(15), ...text(2), ...image(4), ...text(4)]);
    const grids = [
      { h: 3, w: 5 },
      { h: 2, w: 2 },
    ];
    const { positions, nextPosition } = mropePositions(ids, IMAGE, grids);
    const row = (axis: number) => [...positions.slice(axis * 28, (axis + 1) * 28)];
    expect(row(0)).toEqual([
      0,
      1,
      2,
      ...text(15).map(() => 3),
      8,
      9,
      10,
      10,
      10,
      10,
      12,
      13,
      14,
      15,
    ]);
    expect(row(1).slice(3, 18)).toEqual([3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5]);
    expect(row(2).slice(3, 18)).toEqual([3, 4, 5, 6, 7, 3, 4, 5, 6, 7, 3, 4, 5, 6, 7]);
    expect(row(1).slice(20, 24)).toEqual([10, 10, 11, 11]);
    expect(row(2).slice(20, 24)).toEqual([10, 11, 10, 11]);
    expect(nextPosition - ids.length).toBe(-12);
  });

  it('counts plain text', () => {
    const { positions, nextPosition } = mropePositions(Int32Array.from(text(3)), IMAGE, []);
    expect([...positions]).toEqual([0, 1, 2, 0, 1, 2, 0, 1, 2]);
    expect(nextPosition).toBe(3);
  });
});
