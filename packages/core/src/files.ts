import { randomBytes } from 'node:crypto';
import { type FileHandle, open, realpath, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { SpatialError } from './errors.js';

const isCode = (error: unknown, ...codes: string[]): boolean =>
  codes.includes((error as NodeJS.ErrnoException).code ?? '');

/**
 * Real path of a regular file, symbolic links resolved.
 * @throws SpatialError FILE_MISSING when nothing is there or it is not a file.
 */
export const resolveFile = async (file: string, hint: string): Promise<string> => {
  const found = await stat(file).catch((error: unknown) => {
    if (isCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG', 'ERR_INVALID_ARG_VALUE'))
      return undefined;
    throw unreadable(file, error);
  });
  if (found?.isFile()) return realpath(file);
  throw new SpatialError({
    code: 'FILE_MISSING',
    message: `${file}: expected a file, found ${found ? describeKind(found) : 'nothing'}`,
    hint,
  });
};

const describeKind = (found: { isDirectory(): boolean }): string =>
  found.isDirectory() ? 'a folder' : 'something that is not a regular file';

/** Error about a file that exists but cannot be read. */
export const unreadable = (file: string, cause: unknown): SpatialError =>
  new SpatialError({
    code: 'FILE_INVALID',
    message: `${file}: cannot be read (${(cause as Error).message})`,
    hint: 'Check the permissions of the file and the disk it lies on.',
    cause,
  });

/** Largest single read or write: well under the 2 GiB that one system call may move. */
const CHUNK_BYTES = 1 << 26;

/**
 * Reads exactly `length` bytes from `position`.
 * @returns fewer bytes only when the file ends before.
 */
export const readAt = async (
  handle: FileHandle,
  position: number,
  length: number,
): Promise<Uint8Array> => {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const size = Math.min(CHUNK_BYTES, length - done);
    const { bytesRead } = await handle.read(bytes, done, size, position + done);
    if (bytesRead === 0) return bytes.subarray(0, done);
    done += bytesRead;
  }
  return bytes;
};

const writeAll = async (handle: FileHandle, bytes: Uint8Array): Promise<void> => {
  let done = 0;
  while (done < bytes.byteLength) {
    const size = Math.min(CHUNK_BYTES, bytes.byteLength - done);
    done += (await handle.write(bytes, done, size)).bytesWritten;
  }
};

/** Makes a new name in a folder durable; file systems that cannot sync a folder (Windows) keep their own promise. */
export const syncFolder = async (folder: string): Promise<void> => {
  const handle = await open(folder, 'r').catch(() => undefined);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
};

/**
 * Writes a file so that a crash at any moment leaves either the old or the whole new content: temporary file in the
 * same folder, flushed to disk, renamed over the target. A target that is a symbolic link is replaced, not followed.
 */
export const writeFileAtomic = async (
  file: string,
  content: Uint8Array | string | AsyncIterable<Uint8Array>,
): Promise<void> => {
  const folder = path.dirname(file);
  const temporary = path.join(
    folder,
    `.${path.basename(file)}.${process.pid}.${randomBytes(6).toString('hex')}.tmp`,
  );
  try {
    await writeDurably(temporary, content);
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(folder);
};

const writeDurably = async (
  file: string,
  content: Uint8Array | string | AsyncIterable<Uint8Array>,
): Promise<void> => {
  const handle = await open(file, 'wx');
  try {
    if (typeof content === 'string') await writeAll(handle, new TextEncoder().encode(content));
    else if (content instanceof Uint8Array) await writeAll(handle, content);
    else for await (const chunk of content) await writeAll(handle, chunk);
    await handle.sync();
  } finally {
    await handle.close();
  }
};
