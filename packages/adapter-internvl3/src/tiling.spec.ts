import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { CLIP_STATISTICS } from '@spatialsv/core/kit';
import { GOLDEN } from './__fixtures__/golden.js';
import { chooseTiles, parseNativeTiling } from './tiling.js';

const limits = (maxTiles: number, minTiles = 1) => ({ tileSize: 448, minTiles, maxTiles });

describe('chooseTiles', () => {
  it.each([
    [480, 640, '1,1 1,1 1,1 1,1 3,2 4,3'],
    [640, 480, '1,1 1,2 1,2 1,2 2,3 3,4'],
    [480, 480, '1,1 1,1 1,1 1,1 1,1 1,1'],
    [378, 504, '1,1 1,1 1,1 1,1 3,2 4,3'],
    [968, 1296, '1,1 1,1 1,1 2,2 3,2 4,3'],
    [1080, 1920, '1,1 2,1 2,1 2,1 2,1 4,2'],
  ])('gives the published grids of %i×%i', (height, width, expected) => {
    const grids = [1, 2, 3, 4, 6, 12].map((most) => chooseTiles(height, width, limits(most)));
    expect(grids.map(({ columns, rows }) => `${columns},${rows}`).join(' ')).toBe(expected);
  });

  it('agrees with the original code and with transformers', async () => {
    const stored = await readFile(path.join(GOLDEN, 'prompts.json'), 'utf8');
    const cases = JSON.parse(stored).tiles as [number, number, number, number, number][];
    expect(cases.length).toBeGreaterThan(80);
    for (const [height, width, most, columns, rows] of cases)
      expect(chooseTiles(height, width, limits(most))).toEqual({ columns, rows });
  });

  it('takes one tile where the limits leave none', () => {
    expect(chooseTiles(100, 900, limits(2, 3))).toEqual({ columns: 1, rows: 1 });
  });

  it('keeps to a lower limit', () => {
    expect(chooseTiles(448, 448, limits(4, 4))).toEqual({ columns: 2, rows: 2 });
  });
});

describe('parseNativeTiling', () => {
  const size = { height: 448, width: 448 };
  const parse = (config: Record<string, unknown>) =>
    parseNativeTiling({ size, ...config }, 'preprocessor_config.json', 448);

  it('has the defaults of the class', () => {
    expect(parse({})).toEqual({ ...CLIP_STATISTICS, ...limits(12), hasThumbnail: true });
  });

  it.each<[string, Record<string, unknown>]>([
    ['size.height', { size: { height: 384, width: 384 } }],
    ['size.height', { size: undefined }],
    ['size.width', { size: { height: 448, width: 384 } }],
    ['resample', { resample: 2 }],
    ['do_normalize', { do_normalize: false }],
    ['rescale_factor', { rescale_factor: 1 }],
  ])('refuses another %s', (field, change) => {
    expect(() => parse(change)).toThrow(
      expect.objectContaining({
        code: 'CONFIG_INVALID',
        message: expect.stringContaining(`preprocessor_config.json.${field}:`),
      }),
    );
  });
});
