import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { SpatialError } from '@spatialsv/core';
import type { BenchmarkVideoV1 } from '@spatialsv/core/spec';
import { userCacheFolder } from '@spatialsv/engine';

const run = promisify(execFile);

/** Changes when the same video has to give other frames. */
const CACHE_VERSION = 1;
/** Longest list of frames that a command line takes. */
const MOST_FRAMES = 1024;

/**
 * Numbers of K frames among N, evenly spread, first and last included: i·(N−1)/(K−1) with the roundings of numpy's linspace, cut
 * to whole numbers. All N where there are fewer than K.
 */
export function frameNumbers(total: number, count: number): readonly number[] {
  if (count >= total) return Array.from({ length: total }, (_, i) => i);
  if (count === 1) return [0];
  const step = (total - 1) / (count - 1);
  return Array.from({ length: count }, (_, i) =>
    i === count - 1 ? total - 1 : Math.floor(i * step),
  );
}

/**
 * Frames of a video as PNG files, decoded once by ffmpeg and kept in the user's cache folder.
 * @returns paths in the order of time.
 * @throws SpatialError FILE_MISSING without the video or without ffmpeg, FILE_INVALID for what ffmpeg cannot decode.
 */
export async function videoFrames({
  path: file,
  frames,
}: BenchmarkVideoV1): Promise<readonly string[]> {
  const found = await stat(file).catch(() => undefined);
  if (found === undefined)
    throw missing(file, 'expected a video, found nothing', 'Download the videos of the benchmark.');
  const key = JSON.stringify([
    CACHE_VERSION,
    path.resolve(file),
    found.size,
    found.mtimeMs,
    frames,
  ]);
  const name = createHash('sha256').update(key).digest('hex').slice(0, 32);
  const folder = path.join(userCacheFolder(), 'frames', name);
  const kept = await framesIn(folder);
  return kept.length > 0 ? kept : decode(file, frames, folder);
}

async function decode(file: string, count: number, folder: string): Promise<readonly string[]> {
  const total = await countFrames(file);
  const numbers = frameNumbers(total, Math.min(count, MOST_FRAMES));
  await mkdir(path.dirname(folder), { recursive: true });
  const beside = await mkdtemp(`${folder}-`);
  const select = `select=${numbers.map((number) => `eq(n\\,${number})`).join('+')}`;
  const output = path.join(beside, 'frame-%05d.png');
  await ffmpeg(file, 'ffmpeg', [
    '-v',
    'error',
    '-i',
    file,
    '-vf',
    select,
    '-fps_mode',
    'passthrough',
    output,
  ]);
  await rename(beside, folder).catch(() => rm(beside, { recursive: true, force: true }));
  const frames = await framesIn(folder);
  if (frames.length > 0) return frames;
  throw invalid(file, 'no frame can be decoded');
}

/** Packets of the first video stream, which hold a frame each. */
async function countFrames(file: string): Promise<number> {
  const entries = [
    '-select_streams',
    'v:0',
    '-count_packets',
    '-show_entries',
    'stream=nb_read_packets',
  ];
  const text = await ffmpeg(file, 'ffprobe', ['-v', 'error', ...entries, '-of', 'csv=p=0', file]);
  const count = Number.parseInt(text, 10);
  if (count > 0) return count;
  throw invalid(file, 'no video stream');
}

async function framesIn(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch((): string[] => []);
  return names
    .filter((name) => name.endsWith('.png'))
    .toSorted()
    .map((name) => path.join(folder, name));
}

async function ffmpeg(file: string, command: string, args: readonly string[]): Promise<string> {
  try {
    return (await run(command, [...args], { env: process.env })).stdout;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') {
      throw missing(
        command,
        'not found on PATH',
        'Install ffmpeg (apt install ffmpeg, brew install ffmpeg, winget install ffmpeg).',
      );
    }
    throw invalid(file, `${command} cannot decode it`, cause);
  }
}

/** Version of ffmpeg, or undefined where there is none. */
export async function ffmpegVersion(): Promise<string | undefined> {
  const found = await run('ffmpeg', ['-version']).catch(() => undefined);
  return found === undefined
    ? undefined
    : (/^ffmpeg version (\S+)/.exec(found.stdout)?.[1] ?? 'unknown');
}

const missing = (what: string, problem: string, hint: string): SpatialError =>
  new SpatialError({ code: 'FILE_MISSING', message: `${what}: ${problem}`, hint });

const invalid = (file: string, problem: string, cause?: unknown): SpatialError =>
  new SpatialError({
    code: 'FILE_INVALID',
    message: `${file}: ${problem}`,
    hint: 'Download the video again; `ffmpeg -i FILE -f null -` shows what is wrong with it.',
    cause,
  });
