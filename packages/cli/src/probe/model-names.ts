import { basename, dirname, resolve } from 'node:path';
import { SpatialError } from '@spatialsv/core';

/**
 * What models are called in tables: the last part of their path, and parts before it where that is not enough to tell them
 * apart.
 * @throws SpatialError USAGE for a folder that is named twice.
 */
export function modelNames(folders: readonly string[]): readonly string[] {
  const paths = folders.map((folder) => resolve(folder));
  const repeated = paths.find((path, index) => paths.indexOf(path) !== index);
  if (repeated !== undefined)
    throw new SpatialError({
      code: 'USAGE',
      message: `--model ${repeated}: named twice`,
      hint: 'Name each checkpoint once; repetitions with other seeds come from --seeds.',
    });
  return shorten(paths, 1);
}

function shorten(paths: readonly string[], parts: number): readonly string[] {
  const names = paths.map((path) => lastParts(path, parts));
  return new Set(names).size === names.length ? names : shorten(paths, parts + 1);
}

const lastParts = (path: string, count: number): string =>
  count === 1 ? basename(path) : `${lastParts(dirname(path), count - 1)}/${basename(path)}`;
