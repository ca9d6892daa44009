import { close, open, read, write } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

/** One file of this process for bytes that are needed later, or not at all. */
let spool: Promise<Spool> | undefined;

interface Spool {
  /** A number: what is open until the process ends must not be closed, with a warning, when an object is collected. */
  readonly file: number;
  end: number;
}

/**
 * Keeps bytes on the disk until the process ends, so that reading a table of a gigabyte of images takes no memory.
 * @returns reads them again.
 */
export async function keepBytes(bytes: Uint8Array): Promise<() => Promise<Uint8Array>> {
  spool ??= openSpool();
  const kept = await spool;
  const start = kept.end;
  // The bytes themselves must not be part of what is returned: they would stay in memory with it.
  const { length } = bytes;
  kept.end += length;
  await promisify(write)(kept.file, bytes, 0, length, start);
  return async () => {
    const copy = new Uint8Array(length);
    await promisify(read)(kept.file, copy, 0, length, start);
    return copy;
  };
}

/** The file has no name any more once it is open, so that nothing is left of it however the process ends. */
async function openSpool(): Promise<Spool> {
  const folder = await mkdtemp(path.join(tmpdir(), 'spatialsv-images-'));
  const file = await promisify(open)(path.join(folder, 'images'), 'w+');
  const remove = () => rm(folder, { recursive: true, force: true });
  if (process.platform === 'win32')
    process.once('beforeExit', () => void promisify(close)(file).then(remove));
  else await remove();
  return { file, end: 0 };
}
