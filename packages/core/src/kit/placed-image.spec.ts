import { cutMiddle, padCentre, padWhite, wholeImage } from './placed-image.js';

/** 3 × 2 pixels whose three colours are all their number. */
const whole = wholeImage({
  data: Uint8Array.from({ length: 18 }, (_, i) => Math.floor(i / 3)),
  width: 3,
  height: 2,
});

const greys = (data: Uint8Array) => [...data].filter((_, i) => i % 3 === 0);

it('keeps the middle, and says where the whole image lies', () => {
  const { image, window } = cutMiddle(whole, 2, 1);
  expect(greys(image.data)).toEqual([0, 1]);
  expect(window).toEqual({ x0: 0, y0: 0, x1: 3, y1: 2 });
  const narrow = cutMiddle(whole, 1, 2);
  expect(greys(narrow.image.data)).toEqual([1, 4]);
  expect(narrow.window).toEqual({ x0: -1, y0: 0, x1: 2, y1: 2 });
});

it('centres on white, the smaller half first', () => {
  const { image, window } = padWhite(whole, 4, 4);
  // biome-ignore format: a row per line
  expect(greys(image.data)).toEqual([
    255, 255, 255, 255,
    0, 1, 2, 255,
    3, 4, 5, 255,
    255, 255, 255, 255,
  ]);
  expect(window).toEqual({ x0: 0, y0: 1, x1: 3, y1: 3 });
});

it('centres on any colour', () => {
  const { image } = padCentre(whole, 3, 3, [7, 8, 9]);
  expect([...image.data.subarray(18)]).toEqual([7, 8, 9, 7, 8, 9, 7, 8, 9]);
  expect(greys(image.data).slice(0, 3)).toEqual([0, 1, 2]);
});

it('leaves an image of the right size as it is', () => {
  expect(cutMiddle(whole, 3, 2)).toEqual(whole);
  expect(padWhite(whole, 3, 2).image.data).toBe(whole.image.data);
});
