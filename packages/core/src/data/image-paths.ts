import { stat } from 'node:fs/promises';
import { dirname, isAbsolute, relative, resolve, sep } from 'node:path';
import { SpatialError } from '../errors.js';
import { expandHome } from '../paths.js';

/** How far above the data set file its images are looked for (MindCube's rows lie two folders below their root). */
const LEVELS = 4;

export const isFile = async (path: string): Promise<boolean> =>
  (await stat(path).catch(() => undefined))?.isFile() ?? false;

/** Ways in which one path is written: as it stands, with the separators of Windows, with accents composed or not. */
const spellings = (path: string): readonly string[] => {
  const slashed = sep === '/' ? path.replaceAll('\\', '/') : path;
  return [...new Set([path, slashed, slashed.normalize('NFC'), slashed.normalize('NFD')])];
};

/** ASCII without backslashes is written in one way. */
const isPlain = (path: string): boolean => /^[ -[\]-~]*$/.test(path);

/**
 * Folder that the image paths of a data set are relative to: the nearest parent of the file that holds `image`.
 * @returns the file's own folder when no parent holds it, so that the error of a missing image names that place.
 */
export async function findImageRoot(file: string, image: string): Promise<string> {
  let folder = dirname(resolve(file));
  for (let level = 0; level < LEVELS; level++) {
    if (await isFile(await locateImage(folder, image))) return folder;
    folder = dirname(folder);
  }
  return dirname(resolve(file));
}

/**
 * Absolute path of an image. A path with the separators of Windows, and letters with accents in either form, are found under the
 * name that the file has here.
 */
export async function locateImage(root: string, image: string): Promise<string> {
  const path = resolve(root, expandHome(image));
  if (isPlain(image)) return path;
  for (const spelling of spellings(expandHome(image))) {
    const candidate = resolve(root, spelling);
    if (await isFile(candidate)) return candidate;
  }
  return path;
}

/**
 * Whose data it is may not choose files anywhere on this machine.
 * @param place of the row, for messages.
 * @throws SpatialError DATA_INVALID for an image that is not below the root.
 */
export function requireBelow(root: string, image: string, place: string): void {
  const below = relative(root, image);
  if (below !== '' && below !== '..' && !below.startsWith(`..${sep}`) && !isAbsolute(below)) return;
  throw new SpatialError({
    code: 'DATA_INVALID',
    message: `${place}: expected images below ${root}, found ${image}`,
    hint: 'Where this is meant, set `imageRoot` (--image-root) to a folder that holds all of the images.',
  });
}
