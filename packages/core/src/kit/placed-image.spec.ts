import { cutMiddle, padWhite, wholeImage } from './placed-image.js';

/** 3 × 2 pixels whose three colours are all their number. */
const picture = wholeImage({
  data: Uint8Array.from({ length: 18 }, (_, i) => Math.floor(i / 3)),
  width: 3,
  height: 2,
});

const greys = (data: Uint8Array) => [...data].filter((_, i) => i % 3 === 0);

it('keeps the middle, and says where the whole picture lies', () => {
  const { image, window } = cutMiddle(picture, 2, 1);
  expect(greys(image.data)).toEqual([0, 1]);
  expect(window).toEqual({ x0: 0, y0: 0, x1: 3, y1: 2 });
  const narrow = cutMiddle(picture, 1, 2);
  expect(greys(narrow.image.data)).toEqual([1, 4]);
  expect(narrow.window).toEqual({ x0: -1, y0: 0, x1: 2, y1: 2 });
});

it('centres on white, the smaller half first', () => {
  const { image, window } = padWhite(picture, 4, 4);
  // biome-ignore format: a row per line
  expect(greys(image.data)).toEqual([
    255, 255, 255, 255,
    0, 1, 2, 255,
    3, 4, 5, 255,
    255, 255, 255, 255,
  ]);
  expect(window).toEqual({ x0: 0, y0: 1, x1: 3, y1: 3 });
});

it('leaves a picture of the right size as it is', () => {
  expect(cutMiddle(picture, 3, 2)).toEqual(picture);
  expect(padWhite(picture, 3, 2).image.data).toBe(picture.image.data);
});
