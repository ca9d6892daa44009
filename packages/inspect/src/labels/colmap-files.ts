import { dirname, relative } from 'node:path';
import type { RgbImage } from '@spatialsv/core';
import sharp from 'sharp';
import { type ColmapOptions, colmapModel } from './colmap-model.js';
import { colmapText } from './colmap-text.js';
import type { ExportedFile, LabelSet } from './label-set.js';

/**
 * A sparse model in the folder `colmap`, and what to tell the user about it.
 * @param photos one image per view, for the colours.
 * @throws SpatialError as {@link colmapModel} and {@link colmapText} do.
 */
export async function colmapFiles(
  set: Pick<LabelSet, 'labels' | 'images' | 'covered'>,
  photos: readonly RgbImage[],
  options?: ColmapOptions,
): Promise<{ files: ExportedFile[]; notes: string[] }> {
  const imageFolder = commonFolder(set.images.map(({ path }) => path));
  const files = colmapText(colmapModel(set, photos, options), imageFolder);
  const notes = [`colmap: --image_path ${imageFolder}`];
  for (const { path } of set.images) {
    const { orientation = 1 } = await sharp(path).metadata();
    if (orientation > 1) notes.push(`colmap: ${path} is turned by EXIF, which COLMAP ignores`);
  }
  return { files: files.map(({ name, data }) => ({ name: `colmap/${name}`, data })), notes };
}

/** The deepest folder that holds every path. */
function commonFolder(paths: readonly string[]): string {
  return paths
    .map((path) => dirname(path))
    .reduce((folder, other) => {
      let shared = folder;
      while (relative(shared, other).startsWith('..')) shared = dirname(shared);
      return shared;
    });
}
