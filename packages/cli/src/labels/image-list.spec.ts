import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, relative } from 'node:path';
import { encodePng } from '@spatialsv/core';
import { listImages } from './image-list.js';

const root = mkdtempSync(join(tmpdir(), 'image list, '));
const at = (...parts: string[]) => join(root, ...parts);
let png: Uint8Array;

beforeAll(async () => {
  png = await encodePng(new Uint8Array(12), { width: 2, height: 2, channels: 3 });
});
afterAll(() => rmSync(root, { recursive: true }));

function fill(folder: string, names: readonly string[]): string {
  mkdirSync(at(folder), { recursive: true });
  for (const name of names) writeFileSync(at(folder, name), png);
  return at(folder);
}

describe('a folder', () => {
  it('gives all of its images in natural order, whatever they are called', async () => {
    const names = ['10.JPG', '2.jpeg', 'a.jfif', 'b', 'c.png~', 'd.PNG', 'é ü.webp', 'h,i.png'];
    const { images, passedOver } = await listImages([fill('good', names)]);
    expect(images.map((image) => basename(image))).toEqual([
      ...['2.jpeg', '10.JPG', 'a.jfif', 'b', 'c.png~', 'd.PNG', 'é ü.webp', 'h,i.png'],
    ]);
    expect(passedOver).toEqual([]);
  });

  it('is read past hidden files and those of the system, and says what else it passes over', async () => {
    const folder = fill('hidden', ['a.png', '._a.png', '.DS_Store']);
    for (const name of ['Thumbs.db', 'desktop.ini', 'notes.txt'])
      writeFileSync(at('hidden', name), 'x');
    fill('hidden/more', ['b.png']);
    const { images, passedOver } = await listImages([folder]);
    expect(images).toEqual([at('hidden', 'a.png')]);
    expect(passedOver).toEqual([
      { where: 'more', why: expect.stringContaining('a folder') },
      { where: 'notes.txt', why: 'a text file' },
    ]);
  });

  it('names every image that cannot be read', async () => {
    const folder = fill('phone', ['IMG_1.JPG', 'IMG_2.png']);
    writeFileSync(at('phone', 'IMG_3.HEIC'), '\0\0\0\x14ftypheic\0\0\0\0heic');
    writeFileSync(at('phone', 'IMG_4.bmp'), 'BM\x46\0\0\0');
    writeFileSync(at('phone', 'IMG_5.jpg'), '<!doctype html>');
    symlinkSync(at('nowhere'), at('phone', 'IMG_6.jpg'));
    await expect(listImages([folder])).rejects.toMatchObject({
      code: 'IMAGE_INVALID',
      message: expect.stringMatching(
        /4 of 6 images cannot be read: IMG_3\.HEIC \(an HEIC image\), IMG_4\.bmp \(a BMP image\), IMG_5\.jpg \(a web page\), IMG_6\.jpg \(nothing\)/,
      ),
      hint: expect.stringMatching(/heif-convert.*magick/),
    });
  });

  it('without images is an error', async () => {
    mkdirSync(at('empty'));
    writeFileSync(at('empty', 'notes.txt'), 'x');
    await expect(listImages([at('empty')])).rejects.toMatchObject({ code: 'FILE_MISSING' });
  });
});

describe('a pattern', () => {
  beforeAll(() => {
    fill('links', ['e.png', '._d.png', 'f.JPG']);
    fill('links/real', ['a.png']);
    fill('links/.hid', ['c.png']);
    fill('links/sub', ['b.png']);
    symlinkSync('real', at('links', 'link'));
    symlinkSync('..', at('links', 'sub', 'up'));
  });

  it.each([
    '*',
    '*/*',
    '**/*',
    'link/*',
    'link/**/*',
    's?b/*.png',
    '.h*/*',
    '**/.h*/*',
    'sub/up/*.png',
  ])('matches what a shell does: %s', async (pattern) => {
    const script = `shopt -s globstar; for f in ${pattern}; do [ -f "$f" ] && echo "$f"; done; true`;
    const shell = execFileSync('bash', ['-c', script], { cwd: at('links'), encoding: 'utf8' });
    const { images } = await listImages([`${at('links')}/${pattern}`]);
    const found = images.map((image) => relative(at('links'), image)).sort();
    const flat = (name: string) => relative(at('links'), join(at('links'), name));
    expect(found).toEqual([...new Set(shell.trim().split('\n').map(flat))].sort());
  });
});
