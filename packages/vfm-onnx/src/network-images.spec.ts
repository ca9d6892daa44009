import { resizeArea, resizeBicubic, resizeCubic } from '@spatialsv/core/kit';
import type { RgbImage } from '@spatialsv/core/spec';
import { networkSize, prepareImages, seenWindow, wholeWindow } from './network-images.js';
import type { InputPlan } from './plan.js';

const PLAN: InputPlan = {
  name: 'images',
  rank: 5,
  normalisation: 'unit',
  size: { height: 14, width: 28 },
  resize: 'pillow-bicubic',
  fit: 'stretch',
  alpha: 'drop',
};
const image = (width: number, height: number): RgbImage => ({
  width,
  height,
  data: Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * 37 + (i % 11) * 5) % 256),
});
const VGGT = { size: { multipleOf: 14, longestSide: 518 }, resize: 'pillow-bicubic' } as const;
const DA3 = { size: { multipleOf: 14, longestSide: 504 }, resize: 'opencv' } as const;

/** (3, H, W) values from 0 to 1 of an 8-bit image. */
const unit = ({ data, width, height }: RgbImage): Float32Array =>
  Float32Array.from({ length: data.length }, (_, i) => {
    const plane = width * height;
    return data[(i % plane) * 3 + Math.floor(i / plane)]! / 255;
  });

describe('the size of the network’s input', () => {
  it.each([
    [640, 480, 518, 392],
    [1024, 768, 518, 392],
    [1920, 1080, 518, 294],
    [1024, 682, 518, 350],
  ])('is that of VGGT for %d×%d', (width, height, w, h) => {
    expect(networkSize({ width, height }, VGGT)).toEqual({ width: w, height: h });
  });

  it.each([
    [640, 480, 504, 378],
    [1024, 768, 504, 378],
    [1920, 1080, 504, 280],
    [1208, 680, 504, 280],
    [1024, 682, 504, 336],
  ])('is that of Depth Anything 3 for %d×%d', (width, height, w, h) => {
    expect(networkSize({ width, height }, DA3)).toEqual({ width: w, height: h });
  });

  it('is one patch at least', () => {
    expect(networkSize({ width: 1000, height: 3 }, VGGT)).toEqual({ width: 518, height: 14 });
  });
});

describe('images for the network', () => {
  it('are stretched by the method that was named', () => {
    const [stretched] = prepareImages([image(50, 20)], PLAN);
    expect(stretched!.pixels).toEqual(unit(resizeBicubic(image(50, 20), 28, 14)));
    const [grown] = prepareImages([image(20, 20)], { ...PLAN, resize: 'opencv' });
    expect(grown!.pixels).toEqual(unit(resizeCubic(image(20, 20), 28, 14)));
  });

  it('are resized in the two steps of Depth Anything 3', () => {
    const size = { multipleOf: 14, longestSide: 42 };
    const [made] = prepareImages([image(100, 70)], { ...PLAN, size, resize: 'opencv' });
    const bounded = resizeArea(image(100, 70), 42, 29);
    expect(made).toMatchObject({ width: 42, height: 28 });
    expect(made!.pixels).toEqual(unit(resizeArea(bounded, 42, 28)));
  });

  it('are cropped in the middle, and say what was seen', () => {
    const [cropped] = prepareImages([image(60, 60)], { ...PLAN, fit: 'centre-crop' });
    const covering = resizeBicubic(image(60, 60), 28, 28);
    const rows = covering.data.subarray(7 * 28 * 3, 21 * 28 * 3);
    expect(cropped!.pixels).toEqual(unit({ data: rows, width: 28, height: 14 }));
    expect(seenWindow(cropped!)).toEqual({ x0: 0, y0: 15, x1: 60, y1: 45 });
    expect(wholeWindow(cropped!)).toEqual({ x0: 0, y0: -7, x1: 28, y1: 21 });
  });

  it('are normalised by the statistics of ImageNet where asked', () => {
    const grey: RgbImage = { width: 28, height: 14, data: new Uint8Array(3 * 28 * 14).fill(51) };
    const [made] = prepareImages([grey], { ...PLAN, normalisation: 'imagenet' });
    const expected = [(0.2 - 0.485) / 0.229, (0.2 - 0.456) / 0.224, (0.2 - 0.406) / 0.225];
    for (const [c, value] of expected.entries())
      expect(made!.pixels[c * 28 * 14]).toBeCloseTo(value, 5);
  });

  it('have one size in a run', () => {
    const open = { ...PLAN, size: { multipleOf: 14, longestSide: 28 } };
    expect(() => prepareImages([image(28, 14), image(14, 28)], open)).toThrow(
      expect.objectContaining({ code: 'DATA_INVALID' }),
    );
    expect(prepareImages([image(28, 14), image(14, 28)], PLAN)).toHaveLength(2);
  });
});
