import { HALF_STATISTICS } from '@spatialsv/core/kit';
import type { RgbImage } from '@spatialsv/core/spec';
import { type FrameFit, makeFrame, placeGrid } from './frames.js';

/** Red is the column, green the row. */
const ramp = (width: number, height: number): RgbImage => ({
  width,
  height,
  data: Uint8Array.from({ length: 3 * width * height }, (_, i) => {
    const pixel = Math.floor(i / 3);
    return [pixel % width, Math.floor(pixel / width), 0][i % 3]!;
  }),
});

const config = (fit: FrameFit, size = 28) => ({ ...HALF_STATISTICS, patchSize: 14, size, fit });

const level = (value: number) => Math.round((value * 0.5 + 0.5) * 255);

describe('makeFrame', () => {
  it('keeps the middle of the longer side', () => {
    const { pixelValues, pixelShape, window } = makeFrame(ramp(41, 28), config('crop'));
    expect(pixelShape).toEqual([4, 588]);
    // 13 pixels too many: 6 are cut off at the left, 7 at the right.
    expect(window).toEqual({ x0: -6, y0: 0, x1: 35, y1: 28 });
    expect([0, 588, 1176].map((first) => level(pixelValues[first]!))).toEqual([6, 20, 6]);
    expect(level(pixelValues[1176 + 196]!)).toBe(14);
  });

  it('rounds the longer side down', () => {
    const { window } = makeFrame(ramp(50, 33), config('crop'));
    expect(window.x1 - window.x0).toBe(Math.trunc((28 * 50) / 33));
  });

  it('squashes both sides', () => {
    expect(makeFrame(ramp(50, 33), config('squash')).window).toEqual({
      ...{ x0: 0, y0: 0 },
      ...{ x1: 28, y1: 28 },
    });
  });

  it('leaves out what fills no patch', () => {
    const { pixelShape, pixelValues } = makeFrame(ramp(33, 33), config('squash', 33));
    expect(pixelShape).toEqual([4, 588]);
    expect(level(pixelValues[588]!)).toBe(14);
  });

  it('refuses extreme shapes', () => {
    expect(() => makeFrame(ramp(4000, 1), config('squash'))).toThrow(
      expect.objectContaining({
        code: 'IMAGE_INVALID',
        message: expect.stringContaining('4000×1'),
      }),
    );
  });
});

describe('placeGrid', () => {
  it('covers the crop of a wide view', () => {
    const image = ramp(82, 56);
    const { window } = makeFrame(image, config('crop'));
    expect(placeGrid({ side: 2, cell: 14 }, window, image)).toEqual({
      toImage: { ax: 28, bx: 12, ay: 28, by: 0 },
      covered: { x0: 12, y0: 0, x1: 68, y1: 56 },
    });
  });

  it('leaves out the rest of a squashed view', () => {
    const image = ramp(70, 140);
    const window = { x0: 0, y0: 0, x1: 70, y1: 70 };
    expect(placeGrid({ side: 2, cell: 34 }, window, image)).toEqual({
      toImage: { ax: 34, bx: 0, ay: 68, by: 0 },
      covered: { x0: 0, y0: 0, x1: 68, y1: 136 },
    });
  });
});
