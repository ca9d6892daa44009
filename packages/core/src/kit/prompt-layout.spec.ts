import { layOutPrompt, plainPositions, splitIds } from './prompt-layout.js';

describe('layOutPrompt', () => {
  it('gives every visual row a place, and labels to the answer alone', () => {
    const layout = layOutPrompt({
      text: [[5, 6], [9], [7]],
      rows: [3, 1],
      placeholderId: 9,
      answer: [8, 2],
    });
    expect([...layout.inputIds]).toEqual([5, 6, 9, 9, 9, 9, 9, 7, 8, 2]);
    // The 9 at position 5 is text although it has the placeholder's id.
    expect([...layout.spliceIndex]).toEqual([0, 1, 10, 11, 12, 5, 13, 7, 8, 9]);
    expect([...layout.labels]).toEqual([...Array(8).fill(-100), 8, 2]);
    expect(layout.starts).toEqual([2, 6]);
  });

  it('has no visual rows without views', () => {
    const layout = layOutPrompt({ text: [[5, 6]], rows: [], placeholderId: 9 });
    expect([...layout.inputIds]).toEqual([5, 6]);
    expect([...layout.spliceIndex]).toEqual([0, 1]);
    expect([...layout.labels]).toEqual([-100, -100]);
  });
});

describe('splitIds', () => {
  it.each([
    [
      [1, 9, 2, 9],
      [[1], [2], []],
    ],
    [
      [9, 9],
      [[], [], []],
    ],
    [[1, 2], [[1, 2]]],
  ])('of %j', (ids, expected) => {
    expect(splitIds(ids, 9)).toEqual(expected);
  });
});

describe('plainPositions', () => {
  it('counts tokens', () => {
    const { positions, ...rest } = plainPositions(3);
    expect([...positions]).toEqual([0, 1, 2]);
    expect(rest).toEqual({ positionRows: 1, nextPosition: 3 });
  });
});
