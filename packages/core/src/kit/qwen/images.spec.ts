import type { RgbImage } from '../../spec.js';
import { makeCellView, readCellImages, smartResize } from './images.js';

const patches = { patchSize: 14, frames: 2, mergeSize: 2 };
const config = readCellImages({}, 'preprocessor_config.json', patches);
const limits = (maxPixels: number) => ({ ...config, minPixels: 784, maxPixels });

describe('smartResize', () => {
  it.each([
    [480, 640, [17, 23], [14, 19], [9, 12], [6, 9]],
    [640, 480, [23, 17], [19, 14], [12, 9], [9, 6]],
    [480, 480, [17, 17], [17, 17], [10, 10], [8, 8]],
    [378, 504, [14, 18], [14, 18], [9, 12], [6, 9]],
    [968, 1296, [35, 46], [14, 19], [9, 12], [6, 9]],
    [1080, 1920, [39, 69], [12, 22], [8, 14], [6, 10]],
  ])('gives the published cells for %i×%i', (height, width, ...expected) => {
    const budgets = [12845056, 230400, 90000, 50176];
    const cells = budgets.map((max) =>
      smartResize(height, width, limits(max)).map((side) => side / 28),
    );
    expect(cells).toEqual(expected);
  });

  it.each([
    [70, 56],
    [126, 112],
    [42, 56],
  ])('rounds half a cell to the even neighbour: %i → %i', (side, expected) => {
    expect(smartResize(side, 280, limits(1e6))[0]).toBe(expected);
  });

  it('grows small images to the lower limit', () => {
    const [height, width] = smartResize(20, 30, config);
    expect(height * width).toBeGreaterThanOrEqual(3136);
    expect([height % 28, width % 28]).toEqual([0, 0]);
  });

  it('refuses extreme shapes', () => {
    expect(() => smartResize(10, 2001, config)).toThrow(
      expect.objectContaining({ code: 'IMAGE_INVALID' }),
    );
    expect(() => smartResize(10, 2000, config)).not.toThrow();
  });
});

describe('makeCellView', () => {
  /** Red value 10 · row + column of the patch, green and blue constant. */
  const patchImage = (rows: number, columns: number): RgbImage => {
    const [height, width] = [rows * 14, columns * 14];
    const data = new Uint8Array(height * width * 3);
    for (let i = 0; i < height * width; i++) {
      const [y, x] = [Math.floor(i / width), i % width];
      data.set([10 * Math.floor(y / 14) + Math.floor(x / 14), 100, 200], 3 * i);
    }
    return { data, height, width };
  };

  it('orders patches cell by cell, channels slowest, frames repeated', () => {
    const { pixelValues, pixelShape, layout } = makeCellView(patchImage(4, 6), config);
    expect(pixelShape).toEqual([24, 1176]);
    expect(layout).toEqual({ key: '4x6', rows: 4, columns: 6 });
    const grey = (value: number, channel: number) =>
      Math.round((value * config.std[channel]! + config.mean[channel]!) * 255) + 0;
    const firsts = Array.from({ length: 24 }, (_, patch) => grey(pixelValues[patch * 1176]!, 0));
    const cell = (row: number, column: number) =>
      [0, 1, 10, 11].map((inside) => 10 * row + column + inside);
    expect(firsts).toEqual(
      [0, 2].flatMap((row) => [0, 2, 4].flatMap((column) => cell(row, column))),
    );
    expect(grey(pixelValues[392]!, 1)).toBe(100);
    expect(grey(pixelValues[784 + 391]!, 2)).toBe(200);
    expect(pixelValues[196]).toBe(pixelValues[0]);
  });
});

describe('readCellImages', () => {
  const parse = (file: Record<string, unknown>, overrides = {}) =>
    readCellImages(file, 'p.json', patches, overrides);

  it('reads both notations of the limits; options win', () => {
    expect(parse({})).toMatchObject({ minPixels: 3136, maxPixels: 1003520, patchSize: 14 });
    expect(parse({ min_pixels: 5, max_pixels: 7 })).toMatchObject({ minPixels: 5, maxPixels: 7 });
    const size = { shortest_edge: 11, longest_edge: 13 };
    expect(parse({ size })).toMatchObject({ minPixels: 11, maxPixels: 13 });
    expect(parse({ size }, { maxPixels: 90000 })).toMatchObject({
      minPixels: 11,
      maxPixels: 90000,
    });
  });

  it.each([
    { resample: 2 },
    { do_normalize: false },
    { rescale_factor: 1 },
    { image_mean: 'x' },
    { patch_size: 16 },
    { temporal_patch_size: 1 },
    { merge_size: 1 },
  ])('refuses %j', (change) => {
    expect(() => parse(change)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  });
});
