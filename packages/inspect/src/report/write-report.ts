import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { SpatialError, writeFileAtomic } from '@spatialsv/core';
import { packScene } from './pack-scene.js';
import { PAGE_END, pageScene, pageStart, sceneScript } from './page-html.js';
import type { Report } from './report.js';

export interface WriteReportOptions {
  /** Of a report in one file: detail of images and maps is left out until it fits. Default 56 million. */
  readonly maxBytes?: number;
  readonly onProgress?: (doneScenes: number, scenes: number) => void;
  readonly signal?: AbortSignal;
}

export interface WrittenReport {
  /** The file to open. */
  readonly page: string;
  /** Every written file, relative to the folder of the page. */
  readonly files: readonly string[];
}

const DEFAULT_MAX_BYTES = 56e6;
/** Of texts, script and style. */
const FIXED_BYTES = 2e6;

/**
 * Writes a report that opens from a disk, without a server and without a network: one file where `out` ends in `.html`, else a
 * folder with `index.html` and a script for each scene, in which no detail is left out.
 * @throws SpatialError FILE_INVALID and others of the scenes; DATA_INVALID for a key of a scene that is no file name.
 */
export async function writeReport(
  report: Report,
  out: string,
  options: WriteReportOptions = {},
): Promise<WrittenReport> {
  const unsafe = report.sceneKeys.find((key) => !/^[\w@.-]+$/.test(key) || key.startsWith('.'));
  if (unsafe !== undefined)
    throw new SpatialError({
      code: 'DATA_INVALID',
      message: `report: scene '${unsafe}': expected letters, digits, - _ @ and .`,
      hint: 'Name scenes by their hash.',
    });
  return out.endsWith('.html')
    ? writeFile(report, out, options)
    : writeFolder(report, out, options);
}

async function writeFile(
  report: Report,
  file: string,
  options: WriteReportOptions,
): Promise<WrittenReport> {
  const { maxBytes = DEFAULT_MAX_BYTES } = options;
  const texts = Buffer.byteLength(JSON.stringify(report.questions));
  const each = (maxBytes - FIXED_BYTES - texts) / Math.max(1, report.sceneKeys.length);
  async function* chunks(): AsyncGenerator<Uint8Array> {
    yield Buffer.from(pageStart(report, 'inline'));
    for await (const [key, scene] of packed(report, each, options))
      yield Buffer.from(pageScene(key, scene));
    yield Buffer.from(PAGE_END);
  }
  await mkdir(dirname(file), { recursive: true });
  await writeFileAtomic(file, chunks());
  return { page: file, files: [] };
}

async function writeFolder(
  report: Report,
  folder: string,
  options: WriteReportOptions,
): Promise<WrittenReport> {
  const files: string[] = [];
  await mkdir(join(folder, 'scenes'), { recursive: true });
  for await (const [key, scene] of packed(report, Number.POSITIVE_INFINITY, options)) {
    files.push(`scenes/${key}.js`);
    await writeFileAtomic(join(folder, files.at(-1)!), sceneScript(key, scene));
  }
  const page = join(folder, 'index.html');
  await writeFileAtomic(page, pageStart(report, 'beside') + PAGE_END);
  return { page, files: ['index.html', ...files] };
}

async function* packed(
  { sceneKeys, scene }: Report,
  maxBytes: number,
  { onProgress, signal }: WriteReportOptions,
) {
  for (const [done, key] of sceneKeys.entries()) {
    signal?.throwIfAborted();
    yield [key, await packScene(await scene(key), maxBytes)] as const;
    onProgress?.(done + 1, sceneKeys.length);
  }
}
