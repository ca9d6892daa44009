import { defaultTaps } from './default-taps.js';

it.each([
  [36, [4, 12, 20, 28]],
  [28, [3, 9, 16, 22]],
  [6, [1, 2, 3, 5]],
  [2, [1, 2, 2, 2]],
])('are the same fractions of %i layers', (layers, taps) => {
  expect(defaultTaps(layers)).toEqual(taps);
});

it('are the published ones where there are any', () => {
  expect(defaultTaps(28, { 28: [3, 10, 17, 24] })).toEqual([3, 10, 17, 24]);
});
