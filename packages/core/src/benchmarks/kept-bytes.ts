import { SpoolFile } from '../spool-file.js';

/** One file of this process for bytes that are needed later, or not at all. */
let spool: Promise<SpoolFile> | undefined;

/**
 * Keeps bytes on the disk until the process ends, so that reading a table of a gigabyte of images takes no memory.
 * @returns reads them again.
 */
export async function keepBytes(bytes: Uint8Array): Promise<() => Promise<Uint8Array>> {
  spool ??= openSpool();
  const kept = await spool;
  const start = await kept.append(bytes);
  // The bytes themselves must not be part of what is returned: they would stay in memory with it.
  const { length } = bytes;
  return () => kept.read(start, length);
}

async function openSpool(): Promise<SpoolFile> {
  const opened = await SpoolFile.open();
  if (process.platform === 'win32') process.once('beforeExit', () => void opened.close());
  return opened;
}
