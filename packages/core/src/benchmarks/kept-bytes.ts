import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** One file of this process for bytes that are needed later, or not at all. */
let spool: Promise<Spool> | undefined;

interface Spool {
  readonly handle: FileHandle;
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
  await kept.handle.write(bytes, 0, length, start);
  return async () => {
    const copy = new Uint8Array(length);
    await kept.handle.read(copy, 0, copy.length, start);
    return copy;
  };
}

/** The file has no name any more once it is open, so that nothing is left of it however the process ends. */
async function openSpool(): Promise<Spool> {
  const folder = await mkdtemp(path.join(tmpdir(), 'spatialsv-images-'));
  const handle = await open(path.join(folder, 'images'), 'w+');
  const remove = () => rm(folder, { recursive: true, force: true });
  if (process.platform === 'win32')
    process.once('beforeExit', () => void handle.close().then(remove));
  else await remove();
  return { handle, end: 0 };
}
