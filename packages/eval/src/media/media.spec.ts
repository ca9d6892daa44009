import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodePng, readImage } from '@spatialsv/core';
import type { BenchmarkQuestionV1 } from '@spatialsv/core/spec';
import { conversationOf } from './conversation.js';
import { frameNumbers, videoFrames } from './video-frames.js';

const root = mkdtempSync(join(tmpdir(), 'spatialsv-media-'));
const cache = process.env['XDG_CACHE_HOME'];
const pathBefore = process.env['PATH'];
beforeAll(() => {
  process.env['XDG_CACHE_HOME'] = join(root, 'cache');
});
afterEach(() => {
  process.env['PATH'] = pathBefore;
});
afterAll(() => {
  if (cache === undefined) delete process.env['XDG_CACHE_HOME'];
  else process.env['XDG_CACHE_HOME'] = cache;
  rmSync(root, { recursive: true });
});

const hasFfmpeg = spawnSync('ffmpeg', ['-version']).status === 0;
if (!hasFfmpeg) console.warn('skipped: no ffmpeg on PATH');
const itWithFfmpeg = hasFfmpeg ? it : it.skip;

describe('frame numbers', () => {
  it.each([
    // numpy: np.linspace(0, total - 1, count).astype(int)
    [10, 4, [0, 3, 6, 9]],
    [100, 8, [0, 14, 28, 42, 56, 70, 84, 99]],
    [7, 5, [0, 1, 3, 4, 6]],
    [3, 8, [0, 1, 2]],
    [5, 1, [0]],
  ])('of %d frames, %d of them', (total, count, expected) => {
    expect(frameNumbers(total, count)).toEqual(expected);
  });
});

describe('videos', () => {
  /** Frame k is grey of the level 8 k. */
  const write = (name: string, frames: number): string => {
    const file = join(root, name);
    const grey = `geq=lum=16+8*N:cb=128:cr=128,format=yuv420p`;
    const source = ['-f', 'lavfi', '-i', `color=black:s=64x48:r=10:d=${frames / 10},${grey}`];
    execFileSync('ffmpeg', [
      '-v',
      'error',
      ...source,
      '-frames:v',
      String(frames),
      '-c:v',
      'mpeg4',
      '-q:v',
      '1',
      file,
    ]);
    return file;
  };

  itWithFfmpeg('give the frames that are asked for, in order, and keep them', async () => {
    const path = write('a.mp4', 20);
    const frames = await videoFrames({ path, frames: 4 });
    const levels = [];
    for (const frame of frames) {
      const { data, width, height } = await readImage(frame);
      expect([width, height]).toEqual([64, 48]);
      levels.push(data[0]!);
    }
    // Numbers 0, 6, 12, 19: luma 16, 64, 112, 168 in the range of video.
    for (const [i, luma] of [16, 64, 112, 168].entries()) {
      expect(Math.abs(levels[i]! - ((luma - 16) * 255) / 219)).toBeLessThan(4);
    }
    process.env['PATH'] = root;
    expect(await videoFrames({ path, frames: 4 })).toEqual(frames);
    await expect(videoFrames({ path, frames: 5 })).rejects.toMatchObject({
      code: 'FILE_MISSING',
      message: expect.stringContaining('ffprobe: not found'),
    });
  });

  itWithFfmpeg('that are none are refused by name', async () => {
    const path = join(root, 'b.mp4');
    writeFileSync(path, 'no video');
    await expect(videoFrames({ path, frames: 4 })).rejects.toMatchObject({
      code: 'FILE_INVALID',
      message: expect.stringContaining('b.mp4'),
    });
    await expect(videoFrames({ path: join(root, 'c.mp4'), frames: 4 })).rejects.toMatchObject({
      code: 'FILE_MISSING',
    });
  });
});

describe('conversations', () => {
  it('hold images of files and of bytes in order, and the text', async () => {
    const bytes = (level: number) =>
      encodePng(new Uint8Array(3).fill(level), { width: 1, height: 1, channels: 3 });
    const file = join(root, 'x.png');
    writeFileSync(file, await bytes(7));
    const inner = await bytes(9);
    const question: BenchmarkQuestionV1 = {
      id: 'a',
      category: 'all',
      maxNewTokens: 1,
      parts: [
        { type: 'text', text: 'First ' },
        { type: 'image', image: { name: file, source: file } },
        { type: 'image', image: { name: 'table:3', source: async () => inner } },
        { type: 'text', text: 'then.' },
      ],
    };
    const { images, question: text, parts } = await conversationOf(question);
    expect(images.map(({ data }) => data[0])).toEqual([7, 9]);
    expect(text).toBe('First then.');
    expect(parts?.map((part) => (part.type === 'text' ? part.text : 'image'))).toEqual([
      'First ',
      'image',
      'image',
      'then.',
    ]);
    const first = { ...question, parts: [...question.parts.slice(1)] };
    expect(await conversationOf(first)).not.toHaveProperty('parts');
  });
});
