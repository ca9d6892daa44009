import { SpatialError } from '@spatialsv/core';
import sharp from 'sharp';
import { encodeDepthPng16, placeSideBySide, sampleRgb } from './images.js';

const grey = (height: number, width: number, value: number) => ({
  data: new Uint8Array(height * width * 3).fill(value),
  height,
  width,
});

describe('encodeDepthPng16', () => {
  it('stores thousandths, saturates, and writes 0 where there is no depth', async () => {
    const depth = Float32Array.of(1.2344, 0.0001, 70, Number.NaN, 2, -1);
    const png = await encodeDepthPng16(depth, 2, 3, Uint8Array.of(1, 1, 1, 1, 0, 1));
    const { data, info } = await sharp(png)
      .toColourspace('grey16')
      .raw({ depth: 'ushort' })
      .toBuffer({ resolveWithObject: true });
    expect((await sharp(png).metadata()).depth).toBe('ushort');
    const codes = new Uint16Array(data.buffer, data.byteOffset, data.length / 2);
    expect(info.channels).toBe(1);
    expect([...codes]).toEqual([1234, 1, 65535, 0, 0, 0]);
  });
});

describe('placeSideBySide', () => {
  it('puts images in order with a gap', () => {
    const both = placeSideBySide([grey(2, 1, 10), grey(2, 2, 20)], 1);
    expect([both.height, both.width]).toEqual([2, 4]);
    const row = [10, 255, 20, 20].flatMap((value) => [value, value, value]);
    expect([...both.data]).toEqual([...row, ...row]);
  });

  it('refuses different heights', () => {
    expect(() => placeSideBySide([grey(2, 1, 0), grey(3, 1, 0)])).toThrow(SpatialError);
  });
});

describe('sampleRgb', () => {
  it('interpolates between pixel centres and repeats the edge', () => {
    const image = { data: Uint8Array.of(0, 0, 0, 100, 200, 50), height: 1, width: 2 };
    const out = new Uint8Array(9);
    sampleRgb(image, 0.5, 0.5, out, 0);
    sampleRgb(image, 0, 0, out, 3);
    sampleRgb(image, 0.75, 1, out, 6);
    expect([...out]).toEqual([50, 100, 25, 0, 0, 0, 100, 200, 50]);
  });
});
