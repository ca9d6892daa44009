import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { MappedTensor } from '@spatialsv/engine';
import { resolveFile, unreadable } from './files.js';

/** Read at a time. */
const PIECE = 1 << 22;

/**
 * SHA-256 of a file, read in pieces.
 * @returns 64 lower-case hexadecimal digits.
 * @throws SpatialError FILE_MISSING | FILE_INVALID.
 */
export const hashFile = async (file: string): Promise<string> => {
  const found = await resolveFile(file, 'Check the path.');
  const hash = createHash('sha256');
  await readInto(hash, found).catch((error: unknown) => {
    throw unreadable(file, error);
  });
  return hash.digest('hex');
};

/** A stream takes two pieces of memory for the smallest file, as images are: megabytes that only collecting garbage gives back. */
async function readInto(hash: Hash, file: string): Promise<void> {
  if ((await stat(file)).size <= PIECE) hash.update(await readFile(file));
  else await pipeline(createReadStream(file, { highWaterMark: PIECE }), hash);
}

/** A file and the name under which it counts. */
export interface NamedFile {
  readonly name: string;
  readonly path: string;
}

/**
 * One SHA-256 for weights that may lie in several files: that of the file, or of the lines `<hash>  <name>` of all of them,
 * as `sha256sum NAME… | sha256sum` prints it. Equal in any folder.
 * @param files in the order in which they count.
 * @param hash that of a file, for example of one that is known already.
 * @throws SpatialError as {@link hashFile} does.
 */
export const hashFiles = async (
  files: readonly NamedFile[],
  hash: (path: string) => Promise<string> = hashFile,
): Promise<string> => {
  const hashes: string[] = [];
  for (const file of files) hashes.push(await hash(file.path));
  if (hashes.length === 1) return hashes[0]!;
  const lines = files.map(({ name }, index) => `${hashes[index]}  ${name}\n`);
  return createHash('sha256').update(lines.join('')).digest('hex');
};

/**
 * {@link hashFiles} of the files that weights lie in, in the order of their names.
 * @param weights as an opened checkpoint has them.
 */
export const hashWeights = (
  weights: Readonly<Record<string, Pick<MappedTensor, 'file'>>>,
  hash?: (path: string) => Promise<string>,
): Promise<string> => {
  const paths = [...new Set(Object.values(weights).map(({ file }) => file))];
  const files = paths.map((file) => ({ name: path.basename(file), path: file }));
  return hashFiles(
    files.sort((a, b) => (a.name < b.name ? -1 : 1)),
    hash,
  );
};
