import path from 'node:path';
import type { RgbImage } from '../spec.js';
import { type Golden, readGolden } from '../testing/index.js';
import { resizeArea, resizeCubic } from './resize-opencv.js';

const flat = (width: number, height: number, value: number): RgbImage => ({
  data: new Uint8Array(width * height * 3).fill(value),
  width,
  height,
});

describe.each([
  ['area', resizeArea],
  ['cubic', resizeCubic],
])('%s resizing', (name, resize) => {
  let golden: Golden;

  beforeAll(async () => {
    golden = await readGolden(path.join(__dirname, '__golden__/opencv'));
  });

  it('equals OpenCV bit for bit on many shapes', () => {
    for (let i = 0; i < (golden.info[name] as number); i++) {
      const [height, width] = golden.shape(`${name}.${i}.source`) as [number, number];
      const [toHeight, toWidth] = golden.shape(`${name}.${i}.result`) as [number, number];
      const data = Uint8Array.from(golden.int32(`${name}.${i}.source`));
      const result = resize({ data, height, width, path: 'a.png' }, toWidth, toHeight);
      expect(result).toMatchObject({ height: toHeight, width: toWidth, path: 'a.png' });
      expect([...result.data]).toEqual([...golden.int32(`${name}.${i}.result`)]);
    }
  });

  it('keeps a flat image flat, and refuses sizes that are none', () => {
    expect(new Set(resize(flat(13, 9, 201), 11, 4).data)).toEqual(new Set([201]));
    expect(() => resize(flat(4, 4, 0), 0, 2)).toThrow(RangeError);
    expect(() => resize(flat(4, 4, 0), 2, 1.5)).toThrow(RangeError);
  });
});

it('area resizing does not enlarge', () => {
  expect(() => resizeArea(flat(4, 4, 0), 5, 4)).toThrow(RangeError);
});
