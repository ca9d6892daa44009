import { createHash } from 'node:crypto';
import path from 'node:path';
import type { RgbImage } from '@spatialsv/core/spec';
import { expectAllclose, type Golden, readGolden, uniformOf } from '@spatialsv/core/testing';
import {
  fitImage,
  inputIntrinsics,
  type PreprocessMethod,
  type PreprocessOptions,
  prepareViews,
} from './da3-preprocess.js';

interface Case {
  readonly method: PreprocessMethod;
  readonly resolution: number;
  readonly sizes: readonly (readonly [number, number])[];
  /** (V, H, W, 3). */
  readonly shape: readonly [number, number, number, number];
  readonly resized: readonly (readonly [number, number])[];
  readonly sha256: readonly string[];
  readonly ties: readonly (readonly (readonly [number, number])[])[];
  readonly mean: number;
}

/** Half a slope, half noise, as reference/dav3/preprocess_golden.py makes it. */
const image = (name: string, width: number, height: number): RgbImage => {
  const noise = uniformOf(name, width * height * 3);
  const data = Uint8Array.from(noise, (u, i) => {
    const [x, y] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
    const slope = (2 * x + 3 * y + 40 * (i % 3)) % 256;
    return Math.floor((slope + Math.floor(128 * (u + 1))) / 2);
  });
  return { data, width, height };
};

const mean = (views: readonly Float32Array[]): number => {
  let sum = 0;
  for (const view of views) for (const value of view) sum += value;
  return sum / (views.length * views[0]!.length);
};

const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

/** With the values of OpenCV where its float32 sums lie on a tie: they must be few, and one grey level away. */
const withTies = (data: Uint8Array, ties: readonly (readonly [number, number])[]): Uint8Array => {
  expect(ties.length).toBeLessThanOrEqual(data.length / 10_000);
  const patched = data.slice();
  for (const [place, value] of ties) {
    expect(Math.abs(data[place]! - value)).toBe(1);
    patched[place] = value;
  }
  return patched;
};

describe('equals the official input processor', () => {
  let golden: Golden;
  let cases: readonly Case[];

  beforeAll(async () => {
    golden = await readGolden(path.join(__dirname, '__golden__/preprocess'));
    cases = golden.info['cases'] as readonly Case[];
  });

  it.each([...Array(12).keys()])('case %i', (index) => {
    const { method, resolution, sizes, shape, resized, ...expected } = cases[index]!;
    const options: PreprocessOptions = { method, resolution };
    const images = sizes.map(([w, h], i) => image(`image.${index}.${i}`, w, h));
    images.forEach((image, i) => {
      const fitted = fitImage(image, options).image;
      expect([fitted.width, fitted.height]).toEqual(resized[i]);
      expect(sha256(withTies(fitted.data, expected.ties[i]!))).toBe(expected.sha256[i]);
    });
    const prepared = prepareViews(images, options);
    const { views, height, width, pixels, windows } = prepared;
    expect([views, height, width, 3]).toEqual(shape);
    const stored = golden.float32(`${index}.pixels`);
    const perView = height * width * 3;
    const samples = stored.map((_, i) => {
      const place = Math.floor((i * views * perView) / stored.length);
      return pixels[Math.floor(place / perView)]![place % perView]!;
    });
    expectAllclose(samples, stored, { rtol: 1e-6, atol: 1e-6 });
    expect(mean(pixels)).toBeCloseTo(expected.mean, 6);
    images.forEach((image, i) => {
      const { width: w, height: h } = image;
      const intrinsics = [0.9 * w, 0, 0.52 * w, 0, 0.8 * w, 0.47 * h, 0, 0, 1];
      const found = inputIntrinsics(intrinsics, windows[i]!, image);
      expectAllclose(found, golden.float32(`${index}.intrinsics`).subarray(9 * i, 9 * i + 9));
    });
  });
});

const flat = (width: number, height: number): RgbImage => ({
  data: new Uint8Array(3 * width * height).fill(128),
  width,
  height,
});

it.each([
  [[640, 480], 'upper_bound_resize', [504, 378]],
  [[1024, 768], 'upper_bound_resize', [504, 378]],
  [[1208, 680], 'upper_bound_resize', [504, 280]],
  [[1024, 682], 'upper_bound_resize', [504, 336]],
  [[960, 540], 'lower_bound_resize', [896, 504]],
  [[1000, 5], 'upper_bound_resize', [504, 14]],
] as const)('%j with %s becomes %j', ([width, height], method, size) => {
  const { image } = fitImage(flat(width, height), { resolution: 504, method });
  expect([image.width, image.height]).toEqual(size);
});

it('tells which part of each image the input shows', () => {
  const options = { resolution: 112, method: 'upper_bound_resize' } as const;
  const { width, height, windows } = prepareViews([flat(224, 168), flat(168, 224)], options);
  expect([width, height]).toEqual([84, 84]);
  expect(windows).toEqual([
    { x0: -14, y0: 0, x1: 98, y1: 84 },
    { x0: 0, y0: -14, x1: 84, y1: 98 },
  ]);
});

it('refuses to crop an image that holds no whole patch', () => {
  const options = { resolution: 112, method: 'upper_bound_crop' } as const;
  expect(() => fitImage(flat(500, 30), options)).toThrow(
    expect.objectContaining({ code: 'DATA_INVALID' }),
  );
});
