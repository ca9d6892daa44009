import { isIn, stretchesFrom } from './stretches.js';

it('end at the asked blocks, each once and in order', () => {
  expect(stretchesFrom(0, [11, 4, 23, 17, 23])).toEqual([
    { first: 0, last: 4 },
    { first: 5, last: 11 },
    { first: 12, last: 17 },
    { first: 18, last: 23 },
  ]);
});

it('begin at the first block, what ends before it left out', () => {
  expect(stretchesFrom(7, [5, 7, 9])).toEqual([
    { first: 7, last: 7 },
    { first: 8, last: 9 },
  ]);
});

it('know their blocks', () => {
  const inside = [4, 5, 7, 8].filter((block) => isIn({ first: 5, last: 7 }, block));
  expect(inside).toEqual([5, 7]);
});
