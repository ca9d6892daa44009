import path from 'node:path';
import type { RgbImage } from '../spec.js';
import { readGolden } from '../testing/index.js';
import { bicubicWeights, resizeBicubic } from './resize-bicubic.js';

/** Greyscale values as an RGB image. */
const grey = (values: readonly number[], width: number): RgbImage => ({
  data: Uint8Array.from(values.flatMap((value) => [value, value, value])),
  width,
  height: values.length / width,
});

const firstChannel = ({ data }: RgbImage): number[] => [...data.filter((_, i) => i % 3 === 0)];

describe('resizeBicubic', () => {
  it.each([
    [
      [0, 255, 0, 255, 10, 200, 30, 90],
      [104, 121, 130, 117, 64],
    ],
    [
      [0, 255, 0, 255, 10, 200, 30, 90],
      [0, 109, 254, 71, 45, 245, 137, 14, 163, 159, 33, 59, 94],
    ],
    [
      [0, 10, 200, 255],
      [0, 103, 252],
    ],
  ])('takes the row %j to %j, along either axis', (row, expected) => {
    const wide = grey(row, row.length);
    expect(firstChannel(resizeBicubic(wide, expected.length, 1))).toEqual(expected);
    expect(firstChannel(resizeBicubic(grey(row, 1), 1, expected.length))).toEqual(expected);
  });

  it('has the fixed-point weights of Pillow', () => {
    const { starts, counts, weights } = bicubicWeights(8, 5);
    expect(starts[0]).toBe(0);
    expect([...weights.subarray(0, counts[0])]).toEqual([2564317, 1799741, -76390, -93365]);
  });

  it('reduces and enlarges a pattern as Pillow does', () => {
    const pattern = [...Array(96).keys()].map((i) => {
      const [x, y] = [i % 12, Math.floor(i / 12)];
      return (23 * x + 31 * y + 11 * ((x * y) % 5)) % 256;
    });
    // biome-ignore format: one row per line
    expect(firstChannel(resizeBicubic(grey(pattern, 12), 5, 4))).toEqual([
      39, 103, 157, 168, 119,
      112, 185, 150, 41, 62,
      178, 215, 94, 71, 130,
      158, 84, 78, 152, 192,
    ]);
    expect(firstChannel(resizeBicubic(grey(pattern, 12), 16, 10)).slice(0, 16)).toEqual([
      0, 11, 30, 47, 63, 80, 98, 117, 133, 150, 167, 185, 211, 231, 250, 255,
    ]);
  });

  it('equals Pillow on random images of many shapes', async () => {
    const golden = await readGolden(path.join(__dirname, '__golden__/pillow'));
    for (let i = 0; i < (golden.info['resizes'] as number); i++) {
      const [height, width] = golden.shape(`resize.${i}.source`) as [number, number];
      const [toHeight, toWidth] = golden.shape(`resize.${i}.result`) as [number, number];
      const data = Uint8Array.from(golden.int32(`resize.${i}.source`));
      const result = resizeBicubic({ data, height, width }, toWidth, toHeight);
      expect([...result.data]).toEqual([...golden.int32(`resize.${i}.result`)]);
    }
  });

  it('keeps the pixels when the size does not change, and refuses empty sizes', () => {
    const image = grey([1, 2, 3, 4], 2);
    expect(resizeBicubic(image, 2, 2).data).toEqual(image.data);
    expect(() => resizeBicubic(image, 0, 2)).toThrow(RangeError);
    expect(() => resizeBicubic(image, 2, 1.5)).toThrow(RangeError);
  });
});
