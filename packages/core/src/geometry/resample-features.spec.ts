import { resampleFeatures } from './resample-features.js';

/** (1, 2, 2, 1). */
const features = { data: Float32Array.of(0, 1, 2, 3), h: 2, w: 2, channels: 1 };
const size = { width: 28, height: 28 };

describe('resampleFeatures', () => {
  it('leaves features of whole images as they are', () => {
    const windows = [{ x0: 0, y0: 0, x1: 28, y1: 28 }];
    expect(resampleFeatures(features, { ...size, windows })).toBe(features);
  });

  it('repeats the border where the image was cropped', () => {
    const windows = [{ x0: -14, y0: 0, x1: 42, y1: 28 }];
    const { data, h, w } = resampleFeatures(features, { ...size, windows });
    expect([h, w, ...data]).toEqual([2, 4, 0, 0, 1, 1, 2, 2, 3, 3]);
  });

  it('blends where the image fills a part of the input, and keeps the grid of the first view', () => {
    const windows = [
      { x0: 0, y0: 7, x1: 28, y1: 21 },
      { x0: 0, y0: 0, x1: 28, y1: 28 },
    ];
    const twice = { ...features, data: Float32Array.of(0, 1, 2, 3, 4, 5, 6, 7) };
    const { data, h, w } = resampleFeatures(twice, { ...size, windows });
    expect([h, w, ...data]).toEqual([1, 2, 1, 2, 5, 6]);
  });
});
