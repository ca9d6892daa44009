import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { readImage } from '@spatialsv/core/kit';
import type { RgbImage } from '@spatialsv/core/spec';
import { type PreparedImages, type PrepareMode, prepareImages } from './vggt-preprocess.js';

const folder = path.join(__dirname, '__golden__/preparation');

interface Prepared {
  readonly shape: readonly number[];
  readonly sha256: string;
}

interface Case {
  readonly mode: PrepareMode;
  readonly resolution?: number;
  readonly sizes: readonly (readonly [number, number])[];
  readonly prepared: Prepared;
}

/** The image of reference/vggt/make_golden.py. */
const image = (width: number, height: number, view: number): RgbImage => {
  const data = new Uint8Array(width * height * 3);
  let i = 0;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < 3; c++)
        data[i++] = 23 * x + 31 * y + 57 * c + 11 * ((x * y) % 5) + 7 * view;
  return { data, width, height };
};

const described = ({ views, height, width, pixels }: PreparedImages): Prepared => ({
  shape: [views, height, width, 3],
  sha256: createHash('sha256').update(pixels).digest('hex'),
});

const options = (mode: PrepareMode, resolution = 518) => ({ mode, resolution, patchSize: 14 });

describe('prepareImages', () => {
  let info: { cases: Case[]; transparent: Prepared & { file: string } };
  beforeAll(async () => {
    info = JSON.parse(await readFile(path.join(folder, 'case.json'), 'utf8')) as typeof info;
  });

  it('gives the bytes of the reference for wide, tall, tiny and mixed images', () => {
    expect(info.cases.length).toBeGreaterThan(10);
    for (const { mode, resolution, sizes, prepared } of info.cases) {
      const images = sizes.map(([width, height], view) => image(width, height, view));
      const { shape, sha256 } = described(prepareImages(images, options(mode, resolution)));
      expect({ mode, sizes, shape, sha256 }).toEqual({
        mode,
        sizes,
        shape: prepared.shape,
        sha256: prepared.sha256,
      });
    }
  });

  it('gives the bytes of the reference for a transparent image', async () => {
    const image = await readImage(path.join(folder, info.transparent.file), { alpha: 'white' });
    const { shape, sha256 } = info.transparent;
    expect(described(prepareImages([image], options('crop', 140)))).toEqual({ shape, sha256 });
  });

  it('tells where each whole image lies', () => {
    const images = [image(90, 60, 0), image(60, 90, 1)];
    const cropped = prepareImages(images, options('crop', 140));
    expect(cropped).toMatchObject({ height: 140, width: 140 });
    expect(cropped.windows).toEqual([
      { x0: 0, y0: 21, x1: 140, y1: 119 }, // 98 rows, centred among 140
      { x0: 0, y0: -35, x1: 140, y1: 175 }, // 210 rows, of which 35 are lost on either side
    ]);
    const padded = prepareImages(images, options('pad', 140));
    expect(padded.windows).toEqual([
      { x0: 0, y0: 21, x1: 140, y1: 119 },
      { x0: 21, y0: 0, x1: 119, y1: 140 },
    ]);
  });

  it('refuses no images, and images that vanish', () => {
    const empty = expect.objectContaining({ code: 'DATA_INVALID' });
    expect(() => prepareImages([], options('crop'))).toThrow(empty);
    const narrow = expect.objectContaining({
      code: 'IMAGE_INVALID',
      message: expect.stringContaining('100×1'),
    });
    expect(() => prepareImages([image(100, 1, 0)], options('crop'))).toThrow(narrow);
    expect(() => prepareImages([image(1, 100, 0)], options('pad'))).toThrow(
      expect.objectContaining({ code: 'IMAGE_INVALID' }),
    );
  });
});
