import { existsSync } from 'node:fs';
import { copyFile, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expectAllclose, type Golden, readGolden, withTemporaryFolder } from '../testing/index.js';
import { decodeImage, encodePng, readImage, readImageHeader, writePng } from './index.js';

const folder = path.join(__dirname, '__golden__/pillow');
const photographs = path.resolve(__dirname, '../../../../../shared/data/real-views');
if (!existsSync(photographs)) console.warn(`skipped, missing: ${photographs}`);

const invalid = (text: string) =>
  expect.objectContaining({ code: 'IMAGE_INVALID', message: expect.stringContaining(text) });

/** A TIFF of one row of 32-bit floats. */
function floatTiff(values: Float32Array): Buffer {
  const [short, long, count] = [3, 4, values.length];
  const entries = [
    ...[
      [256, long, count],
      [257, long, 1],
      [258, short, 32],
      [259, short, 1],
      [262, short, 1],
    ],
    ...[
      [273, long, 8],
      [277, short, 1],
      [278, long, 1],
      [279, long, 4 * count],
      [339, short, 3],
    ],
  ];
  const directory = Buffer.alloc(2 + 12 * entries.length + 4);
  directory.writeUInt16LE(entries.length);
  for (const [i, [tag, type, value]] of entries.entries()) {
    directory.writeUInt16LE(tag!, 2 + 12 * i);
    directory.writeUInt16LE(type!, 4 + 12 * i);
    directory.writeUInt32LE(1, 6 + 12 * i);
    directory.writeUInt32LE(value!, 10 + 12 * i);
  }
  const head = Buffer.from([0x49, 0x49, 42, 0, 8 + 4 * count, 0, 0, 0]);
  return Buffer.concat([head, Buffer.from(values.buffer), directory]);
}

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

  it('refuses 16-bit greyscale that would be nearly black', async () => {
    const png = await encodePng(Uint16Array.of(0, 256, 4001, 900), {
      ...{ width: 2, height: 2, channels: 1 },
    });
    await expect(decodeImage(png, 'depth.png')).rejects.toThrow(
      invalid('depth.png: expected a photograph, found 16-bit grey with values up to 4001'),
    );
  });

  it('refuses values whose range nothing tells', async () => {
    const tiff = floatTiff(Float32Array.of(0, 0.5, 1, 0.25));
    await expect(decodeImage(tiff, 'float.tiff')).rejects.toThrow(invalid('one of float values'));
  });

  it('reads an image whatever its name ends with', async () => {
    await withTemporaryFolder(async (root) => {
      for (const name of ['IMG_1.JFIF', 'IMG_2.JPE', 'IMG_3', 'IMG_4.png']) {
        const file = path.join(root, name);
        await copyFile(path.join(folder, 'rgb.jpg'), file);
        expect((await readImage(file)).data).toEqual(
          (await readImage(path.join(folder, 'rgb.jpg'))).data,
        );
      }
    });
  });

  const box = (brands: string) => `\0\0\0${String.fromCharCode(8 + brands.length)}ftyp${brands}`;
  it.each<[string, string, RegExp, RegExp]>([
    ['a.txt', 'These are my notes.', /found a text file$/, /JPEG, PNG/],
    ['a.png', '', /found an empty file$/, /again/],
    ['a.svg', '<svg xmlns="x" width="4" height="4"/>', /found an SVG drawing$/, /rsvg-convert/],
    ['a.jpg', '<!doctype html><title>404</title>', /found a web page$/, /Download/],
    ['a.jpg', 'version https://git-lfs.github.com/spec/v1', /a Git LFS pointer$/, /git lfs pull/],
    ['IMG.HEIC', box('heic\0\0\0\0mif1heic'), /found an HEIC image$/, /heif-convert/],
    ['IMG.heif', box('mif1\0\0\0\0miafheix'), /found an HEIC image$/, /heif-convert/],
    ['a.bmp', 'BM\x46\0\0\0\0', /found a BMP image$/, /magick/],
    ['a.jp2', '\0\0\0\x0cjP  \r\n', /found a JPEG 2000 image$/, /magick/],
    ['a.jxl', '\xff\x0a', /found a JPEG XL image$/, /djxl/],
    ['a.psd', '8BPS', /found a Photoshop image$/, /magick/],
    ['a.mov', box('qt  \0\0\0\0'), /found a video$/, /ffmpeg/],
    ['a.DNG', 'II*\0', /found a raw image of a camera$/, /Develop/],
    ['a.pdf', '%PDF-1.7', /found a PDF document$/, /Export/],
    ['a', '\x01\x02\x03\x04\x05', /found a file of an unknown kind$/, /JPEG, PNG/],
  ])('refuses %s by its kind, with the way out', async (name, content, message, hint) => {
    await withTemporaryFolder(async (root) => {
      const file = path.join(root, name);
      await writeFile(file, Buffer.from(content, 'latin1'));
      const error = { code: 'IMAGE_INVALID', message: expect.stringMatching(message) };
      const expected = { ...error, hint: expect.stringMatching(hint) };
      await expect(readImage(file)).rejects.toMatchObject(expected);
      await expect(readImageHeader(file)).rejects.toMatchObject(expected);
    });
  });

  it('says no more of a damaged image than that it is one', async () => {
    await withTemporaryFolder(async (root) => {
      for (const [name, length] of [
        ['rgb.png', 120],
        ['rgb.jpg', 700],
        ['rgb.tiff', 200],
        ['first-frame.gif', 60],
      ] as const) {
        const file = path.join(root, name);
        await writeFile(file, (await readFile(path.join(folder, name))).subarray(0, length));
        const kind = path.extname(name).slice(1).replace('jpg', 'jpeg').toUpperCase();
        const error: Error = await readImage(file).then(
          () => undefined as never,
          (caught) => caught,
        );
        expect(error.message).toBe(
          `${file}: expected an image, found a ${kind} image that is damaged or incomplete`,
        );
      }
    });
  });

  it('refuses what is no regular file, and sizes that fill the memory', async () => {
    await withTemporaryFolder(async (root) => {
      const missing = expect.objectContaining({ code: 'FILE_MISSING' });
      for (const name of [root, path.join(root, 'absent.jpg'), '/dev/zero']) {
        await expect(readImage(name)).rejects.toThrow(missing);
        await expect(readImageHeader(name)).rejects.toThrow(missing);
      }
      const large = path.join(root, 'large.jpg');
      await writeFile(large, '');
      await truncate(large, 1.5 * 2 ** 30);
      await expect(readImage(large)).rejects.toThrow(invalid('1610612736 bytes'));
      const bomb = path.join(root, 'bomb.png');
      const png = await readFile(path.join(folder, 'rgb.png'));
      png.writeUInt32BE(60_000, 16);
      png.writeUInt32BE(60_000, 20);
      await writeFile(bomb, png);
      await expect(readImage(bomb)).rejects.toThrow(invalid(''));
    });
  });

  it('reads headers without pixels', async () => {
    expect(await readImageHeader(path.join(folder, 'orientation6.jpg'))).toMatchObject({
      ...{ format: 'JPEG', height: 26, width: 18, isTurned: true, frames: 1, hasAlpha: false },
    });
    expect(await readImageHeader(path.join(folder, 'rgba16.png'))).toMatchObject({
      ...{ format: 'PNG', height: 9, width: 13, depth: 'ushort', hasAlpha: true },
    });
  });

  const onPhotographs = existsSync(photographs) ? it : it.skip;
  onPhotographs('reads photographs (skipped without ../shared/data)', async () => {
    const scenes = await readdir(photographs);
    expect(scenes).not.toEqual([]);
    for (const scene of scenes) {
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
