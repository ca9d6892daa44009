import { readdir } from 'node:fs/promises';
import { SpatialError } from '@spatialsv/core';

/** @throws SpatialError USAGE for a folder of `--out` that holds something. */
export async function requireEmpty(folder: string): Promise<void> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  if (names.length === 0) return;
  throw new SpatialError({
    code: 'USAGE',
    message: `--out ${folder}: expected a new or empty folder, found ${names.length} entries`,
    hint: 'Choose another folder, or add --force to write into this one.',
  });
}
