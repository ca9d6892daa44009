import { shardOf, viewSetsOfImages, viewSetsOfSamples } from './view-sets.js';

const images = ['a', 'b', 'c', 'd', 'e'];

describe('viewSetsOfImages', () => {
  it.each([
    [undefined, [images]],
    [1, [['a'], ['b'], ['c'], ['d'], ['e']]],
    [2, [['a', 'b'], ['c', 'd'], ['e']]],
    [9, [images]],
  ])('makes groups of %p', (views, expected) => {
    expect(viewSetsOfImages(images, views).map((set) => set.images)).toEqual(expected);
  });

  it('makes nothing of nothing', () => {
    expect(viewSetsOfImages([])).toEqual([]);
  });
});

describe('viewSetsOfSamples', () => {
  it('keeps each list of images once; another order is another set', () => {
    const lists = [['a', 'b'], ['c'], ['a', 'b'], ['b', 'a'], ['c']];
    const sets = viewSetsOfSamples(lists.map((list) => ({ images: list })));
    expect(sets.map((set) => set.images)).toEqual([['a', 'b'], ['c'], ['b', 'a']]);
  });
});

describe('shardOf', () => {
  it.each([1, 2, 3, 7])('cuts into %d disjoint parts of equal size that are complete', (count) => {
    const items = Array.from({ length: 23 }, (_, i) => i);
    const shards = Array.from({ length: count }, (_, i) => shardOf(items, { index: i + 1, count }));
    expect(shards.flat().sort((a, b) => a - b)).toEqual(items);
    const sizes = shards.map(({ length }) => length);
    expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
  });
});
