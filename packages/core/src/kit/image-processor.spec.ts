import type { RgbImage } from '../spec.js';
import { cutPatches, fitToCells, HALF_STATISTICS, normalisedLevels } from './image-processor.js';

/** Every pixel is 10 · its patch row + its patch column, in patches of 2 × 2; colours add 100 each. */
const numbered = (rows: number, columns: number): RgbImage => {
  const [width, height] = [2 * columns, 2 * rows];
  const data = Uint8Array.from({ length: 3 * width * height }, (_, i) => {
    const pixel = Math.floor(i / 3);
    const [y, x] = [Math.floor(pixel / width), pixel % width];
    return 10 * Math.floor(y / 2) + Math.floor(x / 2) + 100 * (i % 3);
  });
  return { data, width, height };
};

const plain = { mean: [0, 0, 0], std: [1 / 255, 1 / 255, 1 / 255] };

/** First value of every patch, rounded: the number of the patch. */
const numbers = (values: Float32Array, perPatch: number) =>
  Array.from({ length: values.length / perPatch }, (_, i) => Math.round(values[i * perPatch]!));

describe('cutPatches', () => {
  it('goes row by row without cells', () => {
    const values = cutPatches(numbered(2, 3), { ...plain, patchSize: 2 });
    expect(numbers(values, 12)).toEqual([0, 1, 2, 10, 11, 12]);
  });

  it('goes cell by cell, and row by row inside a cell', () => {
    const values = cutPatches(numbered(2, 4), { ...plain, patchSize: 2, cellSide: 2 });
    expect(numbers(values, 12)).toEqual([0, 1, 10, 11, 2, 3, 12, 13]);
  });

  it('leaves out what does not fill a cell', () => {
    const { data, ...size } = numbered(2, 3);
    const wider = { ...size, width: 7, data: new Uint8Array(4 * 7 * 3).fill(9) };
    for (let y = 0; y < 4; y++) wider.data.set(data.subarray(18 * y, 18 * (y + 1)), 21 * y);
    const values = cutPatches(wider, { ...plain, patchSize: 2 });
    expect(numbers(values, 12)).toEqual([0, 1, 2, 10, 11, 12]);
  });

  it('puts colours slowest, and repeats a still image in every frame', () => {
    const values = cutPatches(numbered(1, 1), { ...plain, patchSize: 2, frames: 2 });
    expect([...values].map(Math.round)).toEqual([0, 100, 200].flatMap((c) => Array(8).fill(c)));
  });
});

describe('normalisedLevels', () => {
  it('takes grey levels to (x / 255 − mean) / std', () => {
    const [red] = normalisedLevels(HALF_STATISTICS);
    expect([red![0], red![255]]).toEqual([-1, 1]);
    expect(red![102]).toBeCloseTo(-0.2, 6);
  });
});

describe('fitToCells', () => {
  const limits = { cell: 28, minPixels: 784, maxPixels: 90000 };

  it.each([
    [480, 640, 9 * 28, 12 * 28],
    [640, 480, 12 * 28, 9 * 28],
    [70, 126, 56, 112],
    [42, 42, 56, 56],
    [10, 10, 28, 28],
  ])('of %i × %i', (height, width, ...expected) => {
    expect(fitToCells(height, width, limits)).toEqual(expected);
  });

  it('refuses extreme shapes', () => {
    expect(() => fitToCells(1, 201, limits)).toThrow(
      expect.objectContaining({ code: 'IMAGE_INVALID' }),
    );
  });
});
