import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { type Finding, readImageHeader, SpatialError, UNKNOWN_KIND } from '@spatialsv/core';
import { readFileKind } from '@spatialsv/core/host';
import type { PassedOver } from '../check/report.js';

/** Names of images, of formats that are not read too: what is called so and is none shall not vanish from a list. */
export const IMAGE_NAME =
  /\.(jpe?g|jpe|jfif|png|webp|gif|tiff?|avif|hei[cf]|bmp|dib|jp2|j2k|jpx|jxl|psd|ico|dng|nef|arw|cr2|cr3|orf|rw2|pef|raf)$/i;

/** Files that systems put beside images. */
const OF_THE_SYSTEM = /^(\.|thumbs\.db$|ehthumbs|desktop\.ini$)/i;

/** More names than this are no folder of images. */
const MAX_FILES = 1_000_000;

/** 2.png comes before 10.png, on every machine. */
const { compare } = new Intl.Collator('en', { numeric: true });

/** What a list of names stands for. */
export interface ImageList {
  /** Absolute paths. */
  readonly images: readonly string[];
  /** Files beside them that are no images. */
  readonly passedOver: readonly PassedOver[];
}

/**
 * Images by their content. A folder stands for the images in it, a pattern (`*`, `?`, `**`) for what it matches, both in natural
 * order, as a shell finds them: hidden names are left out, links are followed, but not by `**`. A file stands for itself, also when
 * it is not there, so that it is reported like any broken image.
 * @throws SpatialError FILE_MISSING for a folder without images and a pattern without matches; IMAGE_INVALID, naming all of them,
 *   for images of a folder or pattern that are not read: neighbours would be grouped without them.
 */
export async function listImages(names: readonly string[]): Promise<ImageList> {
  const lists: ImageList[] = [];
  for (const name of names) lists.push(await listOne(name));
  return {
    images: lists.flatMap(({ images }) => images),
    passedOver: lists.flatMap(({ passedOver }) => passedOver),
  };
}

async function listOne(name: string): Promise<ImageList> {
  const files = await filesOf(name);
  if (files === undefined) return { images: [resolve(name)], passedOver: [] };
  const { images, passedOver, refused } = await sortFiles(files);
  if (refused.length > 0) throw notReadable(name, refused, images.length);
  if (images.length > 0) return { images, passedOver };
  throw new SpatialError({
    code: 'FILE_MISSING',
    message: `--images ${name}: expected images, found none${describeOthers(passedOver)}`,
    hint: 'Name files, a folder that holds the images itself, or a pattern in quotes such as "scene/**/*.jpg".',
  });
}

const describeOthers = (others: readonly PassedOver[]): string =>
  others.length === 0 ? '' : ` (${others.length} other files or folders)`;

/** Paths in a folder or of a pattern, in natural order; undefined for the name of a file. */
export async function filesOf(name: string): Promise<readonly string[] | undefined> {
  const found = await stat(name).catch(() => undefined);
  if (found?.isDirectory()) {
    const names = (await readdir(name)).filter((each) => !OF_THE_SYSTEM.test(each));
    return requireCount(name, names.sort(compare)).map((each) => resolve(name, each));
  }
  if (found !== undefined || !/[*?]/.test(name)) return undefined;
  const segments = name.split(/[\\/]/);
  const start = segments[0] === '' ? '/' : '.';
  const named = segments.filter((segment) => segment !== '');
  const matches = (await matching(start, named)).filter(
    (path) => !/^(thumbs\.db|ehthumbs|desktop\.ini)/i.test(basename(path)),
  );
  return requireCount(name, matches.sort(compare));
}

function requireCount(name: string, paths: string[]): string[] {
  if (paths.length <= MAX_FILES) return paths;
  throw new SpatialError({
    code: 'USAGE',
    message: `--images ${name}: expected at most ${MAX_FILES} files, found ${paths.length}`,
    hint: 'Name a folder or pattern of fewer images.',
  });
}

/** A file that is an image, or is called one, and cannot be read. */
export type RefusedImage = Pick<Finding, 'where' | 'found' | 'hint'> & { readonly path: string };

export interface SortedFiles extends ImageList {
  readonly refused: readonly RefusedImage[];
}

/** Files looked at at a time. */
const AT_ONCE = 16;

/** Tells images, images that are not read, and other files apart. */
export async function sortFiles(paths: readonly string[]): Promise<SortedFiles> {
  const found: Awaited<ReturnType<typeof lookAt>>[] = [];
  let next = 0;
  const work = async () => {
    while (next < paths.length) {
      const index = next++;
      found[index] = await lookAt(paths[index]!);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return {
    images: found.flatMap((each) => (each.image === undefined ? [] : [each.image])),
    passedOver: found.flatMap((each) => (each.other === undefined ? [] : [each.other])),
    refused: found.flatMap((each) => (each.refused === undefined ? [] : [each.refused])),
  };
}

interface Looked {
  readonly image?: string;
  readonly other?: PassedOver;
  readonly refused?: RefusedImage;
}

async function lookAt(path: string): Promise<Looked> {
  const where = basename(path);
  const isNamed = IMAGE_NAME.test(path);
  const file = await stat(path).catch(() => undefined);
  const other = (why: string): Looked => ({ other: { where, why } });
  if (file?.isDirectory()) return other('a folder (name it, or use a pattern with **)');
  if (file !== undefined && !file.isFile()) return other('not a regular file');
  const kind = file && (await readFileKind(path).catch(() => ({ name: UNKNOWN_KIND })));
  if (!isNamed && (kind === undefined || !('image' in kind))) return other(kind?.name ?? 'nothing');
  try {
    await readImageHeader(path);
    return { image: path };
  } catch (error) {
    if (!SpatialError.isInstance(error)) throw error;
    const [, what = error.message] = /found (.*)$/s.exec(error.message) ?? [];
    return { refused: { path, where, found: what, hint: error.hint } };
  }
}

const SHOWN = 20;

function notReadable(name: string, refused: readonly RefusedImage[], readable: number) {
  const listed = refused.slice(0, SHOWN).map(({ where, found }) => `${where} (${found})`);
  const more = refused.length > SHOWN ? ` and ${refused.length - SHOWN} more` : '';
  const total = refused.length + readable;
  const hints = [...new Set(refused.map(({ hint }) => hint))];
  return new SpatialError({
    code: 'IMAGE_INVALID',
    message: `--images ${name}: ${refused.length} of ${total} images cannot be read: ${listed.join(', ')}${more}`,
    hint: `${hints.slice(0, 3).join(' ')} Or name the images that are meant.`,
  });
}

/** Absolute paths below `folder` that match, segment by segment. */
async function matching(folder: string, segments: readonly string[]): Promise<string[]> {
  const [segment, ...rest] = segments;
  if (segment === undefined) return [resolve(folder)];
  if (!/[*?]/.test(segment)) return matching(join(folder, segment), rest);
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const shown = entries.filter(({ name }) => !name.startsWith('.') || segment.startsWith('.'));
  if (segment === '**') {
    const folders = shown.filter((entry) => entry.isDirectory());
    const below = folders.map(({ name }) => matching(join(folder, name), segments));
    return (await Promise.all([matching(folder, rest), ...below])).flat();
  }
  const pattern = toPattern(segment);
  const found = shown.filter(({ name }) => pattern.test(name));
  const named = rest.length > 0 ? await foldersOf(folder, found) : found;
  return (await Promise.all(named.map(({ name }) => matching(join(folder, name), rest)))).flat();
}

/** Folders, and links to folders. */
async function foldersOf(folder: string, entries: readonly Dirent[]): Promise<readonly Dirent[]> {
  const isFolder = async (entry: Dirent) =>
    entry.isDirectory() ||
    (entry.isSymbolicLink() &&
      (await stat(join(folder, entry.name)).catch(() => undefined))?.isDirectory() === true);
  const answers = await Promise.all(entries.map(isFolder));
  return entries.filter((_, index) => answers[index]);
}

function toPattern(segment: string): RegExp {
  const escaped = segment.replace(/[.+^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`, 'su');
}
