import { stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { SpatialError } from '../errors.js';
import type { SampleV1 } from '../spec.js';

/** How far above the dataset file its images are looked for (MindCube's rows lie two folders below their root). */
const LEVELS = 4;

/**
 * Folder that the image paths of a dataset are relative to: the nearest parent of the file that holds `image`.
 * @returns the file's own folder when no parent holds it, so that the error of a missing image names that place.
 */
export async function findImageRoot(file: string, image: string): Promise<string> {
  let folder = dirname(resolve(file));
  for (let level = 0; level < LEVELS; level++) {
    if (await isFile(resolve(folder, image))) return folder;
    folder = dirname(folder);
  }
  return dirname(resolve(file));
}

/** @throws SpatialError FILE_MISSING naming the sample and the image, for the first image that is not there. */
export async function requireImages(samples: readonly SampleV1[], file: string): Promise<void> {
  const known = new Set<string>();
  for (const sample of samples) {
    for (const image of sample.images) {
      if (!known.has(image) && !(await isFile(image))) throw missingImage(file, sample.id, image);
      known.add(image);
    }
  }
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}

function missingImage(file: string, id: string, image: string): SpatialError {
  return new SpatialError({
    code: 'FILE_MISSING',
    message: `${file}: sample '${id}': image ${image} does not exist`,
    hint: 'Unpack the images beside the dataset, or set `imageRoot` to the folder that the image paths are relative to.',
  });
}
