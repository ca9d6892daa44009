import { readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { SpatialError } from '@spatialsv/core';

const IMAGE = /\.(jpe?g|png|webp|gif|tiff?|avif|heif)$/i;

/** 2.png comes before 10.png, on every machine. */
const { compare } = new Intl.Collator('en', { numeric: true });

/**
 * Absolute paths of images. A folder stands for the images in it, a pattern (`*`, `?`, `**`) for what it matches, both
 * in natural order; a file stands for itself, also when it is not there, so that it is reported like any broken image.
 * @throws SpatialError FILE_MISSING for a folder without images and a pattern without matches.
 */
export async function listImages(names: readonly string[]): Promise<string[]> {
  const lists: string[][] = [];
  for (const name of names) lists.push(await listOne(name));
  return lists.flat();
}

async function listOne(name: string): Promise<string[]> {
  const found = await stat(name).catch(() => undefined);
  if (found?.isDirectory()) return requireSome(await imagesIn(name), name);
  if (found !== undefined || !/[*?]/.test(name)) return [resolve(name)];
  const segments = name.split(/[\\/]/);
  const start = segments[0] === '' ? '/' : '.';
  const matches = await matching(
    start,
    segments.filter((segment) => segment !== ''),
  );
  return requireSome(matches.filter((path) => IMAGE.test(path)).sort(compare), name);
}

async function imagesIn(folder: string): Promise<string[]> {
  const names = (await readdir(folder)).filter((name) => IMAGE.test(name));
  return names.sort(compare).map((name) => resolve(folder, name));
}

/** Absolute paths below `folder` that match, segment by segment. */
async function matching(folder: string, segments: readonly string[]): Promise<string[]> {
  const [segment, ...rest] = segments;
  if (segment === undefined) return [resolve(folder)];
  if (!/[*?]/.test(segment)) return matching(join(folder, segment), rest);
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  if (segment === '**') {
    const below = folders.map((name) => matching(join(folder, name), segments));
    return (await Promise.all([matching(folder, rest), ...below])).flat();
  }
  const pattern = toPattern(segment);
  const names = rest.length > 0 ? folders : entries.map(({ name }) => name);
  const found = names.filter((name) => pattern.test(name));
  return (await Promise.all(found.map((name) => matching(join(folder, name), rest)))).flat();
}

function toPattern(segment: string): RegExp {
  const escaped = segment.replace(/[.+^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`, 'su');
}

function requireSome(paths: string[], name: string): string[] {
  if (paths.length > 0) return paths;
  throw new SpatialError({
    code: 'FILE_MISSING',
    message: `--images ${name}: expected images, found none`,
    hint: 'Name files, a folder that holds the images itself, or a pattern in quotes such as "scene/**/*.jpg".',
  });
}
