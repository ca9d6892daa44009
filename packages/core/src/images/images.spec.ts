import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expectAllclose, type Golden, readGolden, withTemporaryFolder } from '../testing/index.js';
import { decodeImage, encodePng, readImage, writePng } from './index.js';

const folder = path.join(__dirname, '__golden__/pillow');
const photographs = path.resolve(__dirname, '../../../../../shared/data/real-views');

const invalid = (text: string) =>
  expect.objectContaining({ code: 'IMAGE_INVALID', message: expect.stringContaining(text) });

describe('readImage', () => {
  let golden: Golden;
  beforeAll(async () => {
    golden = await readGolden(folder);
  });

  it('gives the pixels of Pillow for every encoding', async () => {
    for (const name of golden.info['images'] as string[]) {
      const image = await readImage(path.join(folder, name));
      expect([image.height, image.width, 3]).toEqual(golden.shape(name));
      const atol = name.endsWith('.jpg') ? 2 : 0;
      expectAllclose(image.data, golden.int32(name), { rtol: 0, atol });
    }
  });

  it('blends transparency over white where asked', async () => {
    const image = await readImage(path.join(folder, 'rgba.png'), { alpha: 'white' });
    const expected = golden.int32('rgba.png').map((value, i) => {
      const [x, y] = [Math.floor(i / 3) % image.width, Math.floor(i / 3 / image.width)];
      const alpha = (x * 37 + y * 11) % 256; // as reference/core/images_golden.py draws it
      return Math.round((value * alpha + 255 * (255 - alpha)) / 255);
    });
    expectAllclose(image.data, expected, { rtol: 0, atol: 0 });
    const opaque = path.join(folder, 'rgb.png');
    expect(await readImage(opaque, { alpha: 'white' })).toEqual(await readImage(opaque));
  });

  it('keeps the upper byte of 16-bit greyscale', async () => {
    const data = Uint16Array.of(0, 255, 256, 4001, 65535, 32768);
    const image = await decodeImage(
      await encodePng(data, { width: 3, height: 2, channels: 1 }),
      'grey16',
    );
    expect([...image.data]).toEqual([...data].flatMap((value) => Array(3).fill(value >> 8)));
  });

  it('refuses what is not an image and says what it found', async () => {
    await withTemporaryFolder(async (root) => {
      const file = path.join(root, 'notes.png');
      await writeFile(file, 'These are my notes about the rooms.');
      await expect(readImage(file)).rejects.toThrow(invalid('These are my notes'));
      await writeFile(file, '');
      await expect(readImage(file)).rejects.toThrow(invalid('an empty file'));
      await writeFile(file, '<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"/>');
      await expect(readImage(file)).rejects.toThrow(invalid('<svg'));
      await writeFile(file, (await readFile(path.join(folder, 'rgb.png'))).subarray(0, 120));
      await expect(readImage(file)).rejects.toThrow(invalid('89504e47'));
      await writeFile(file, (await readFile(path.join(folder, 'rgb.jpg'))).subarray(0, 700));
      await expect(readImage(file)).rejects.toThrow(invalid('ffd8'));
      const missing = expect.objectContaining({ code: 'FILE_MISSING' });
      await expect(readImage(root)).rejects.toThrow(missing);
      await expect(readImage(path.join(root, 'absent.jpg'))).rejects.toThrow(missing);
    });
  });

  const onPhotographs = existsSync(photographs) ? it : it.skip;
  onPhotographs('reads photographs (skipped without ../shared/data)', async () => {
    for (const scene of await readdir(photographs)) {
      const names = (await readdir(path.join(photographs, scene))).filter((n) =>
        n.endsWith('.jpg'),
      );
      const image = await readImage(path.join(photographs, scene, names[0]!));
      expect(image.data.length).toBe(image.height * image.width * 3);
    }
  });
});

describe('writePng', () => {
  it.each([1, 3, 4] as const)('keeps 8-bit pixels of %d channels', async (channels) => {
    await withTemporaryFolder(async (root) => {
      const file = path.join(root, 'x.png');
      const data = Uint8Array.from({ length: 6 * channels }, (_, i) => (i * 37) % 256);
      await writePng(file, data, { width: 3, height: 2, channels });
      const image = await readImage(file);
      const rgb = [...Array(6).keys()].flatMap((pixel) =>
        [0, 1, 2].map((c) => data[pixel * channels + (channels === 1 ? 0 : c)]),
      );
      expect([...image.data]).toEqual(rgb);
    });
  });

  it('refuses data of another size', async () => {
    await expect(
      encodePng(new Uint8Array(5), { width: 2, height: 1, channels: 3 }),
    ).rejects.toThrow(expect.objectContaining({ code: 'SHAPE_MISMATCH' }));
  });
});
