import { randomBytes } from 'node:crypto';
import type { Stats } from 'node:fs';
import {
  appendFile,
  type FileHandle,
  mkdir,
  open,
  readdir,
  realpath,
  rename,
  rm,
  stat,
} from 'node:fs/promises';
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

const KINDS = [
  ['isDirectory', 'a folder'],
  ['isFIFO', 'a pipe'],
  ['isSocket', 'a socket'],
  ['isCharacterDevice', 'a device'],
  ['isBlockDevice', 'a device'],
] as const;

const describeKind = (found: Stats): string =>
  KINDS.find(([is]) => found[is]())?.[1] ?? 'something that is not a regular file';

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
  return bytes.subarray(0, await readInto(handle, position, bytes));
};

/** Fills memory from a position on. @returns the number of bytes, fewer where the file ends before. */
export const readInto = async (
  handle: FileHandle,
  position: number,
  bytes: Uint8Array,
): Promise<number> => {
  let done = 0;
  while (done < bytes.byteLength) {
    const size = Math.min(CHUNK_BYTES, bytes.byteLength - done);
    const { bytesRead } = await handle.read(bytes, done, size, position + done);
    if (bytesRead === 0) return done;
    done += bytesRead;
  }
  return done;
};

const writeAll = async (handle: FileHandle, bytes: Uint8Array): Promise<void> => {
  let done = 0;
  while (done < bytes.byteLength) {
    const size = Math.min(CHUNK_BYTES, bytes.byteLength - done);
    done += (await handle.write(bytes, done, size)).bytesWritten;
  }
};

/** What systems say that cannot flush a folder (Windows, some network file systems). */
const CANNOT_SYNC = ['EISDIR', 'EPERM', 'EACCES', 'EINVAL', 'ENOTSUP', 'EBADF'];

/** Makes names in a folder durable; file systems that cannot flush a folder keep their own promise. */
export const syncFolder = (folder: string): Promise<void> =>
  sync(folder, 'r').catch((error: unknown) => {
    if (!isCode(error, ...CANNOT_SYNC)) throw error;
  });

/** Makes the content of a file durable. */
export const syncFile = (file: string): Promise<void> =>
  // Windows flushes what is open to write only.
  sync(file, process.platform === 'win32' ? 'r+' : 'r');

const sync = async (name: string, flags: string): Promise<void> => {
  const handle = await open(name, flags);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
};

/** {@link syncFile} and {@link syncFolder} of everything in a folder. */
const syncTree = async (folder: string): Promise<void> => {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const name = path.join(folder, entry.name);
    if (entry.isDirectory()) await syncTree(name);
    else if (entry.isFile()) await syncFile(name);
  }
  await syncFolder(folder);
};

/** Makes a folder and those above it; new ones are durable. */
export const makeFolder = async (folder: string): Promise<void> => {
  const first = await mkdir(folder, { recursive: true });
  if (first === undefined) return;
  const top = path.dirname(first);
  for (let at = path.resolve(folder); at !== top && at !== path.dirname(at); at = path.dirname(at))
    await syncFolder(path.dirname(at));
};

const isAbsent = (error: unknown): boolean => isCode(error, 'ENOENT', 'ENOTDIR');

/** Most bytes of a text file that is read as a whole: beyond any that a model, a run or a user's configuration has. */
const MAX_TEXT_BYTES = 1 << 28;

const MEBIBYTE = 1 << 20;

/** Size for people: whole bytes, or MiB. */
const formatBytes = (bytes: number): string =>
  bytes < MEBIBYTE ? `${bytes} bytes` : `${(bytes / MEBIBYTE).toFixed(1)} MiB`;

/**
 * Text of a regular file of at most so many bytes, UTF-8 with or without a byte order mark. What it is and how long it is are
 * known before a byte is read.
 * @param maxBytes {@link MAX_TEXT_BYTES} unless given.
 * @throws SpatialError FILE_MISSING where there is no regular file | FILE_INVALID for one that is too long, no UTF-8 or cannot
 *   be read.
 */
export const readText = async (file: string, maxBytes = MAX_TEXT_BYTES): Promise<string> => {
  const bytes = await readBytes(file, maxBytes);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw notUtf8(file, bytes, cause);
  }
};

/** The bytes of a file as {@link readText} reads them. @throws SpatialError as it does. */
export const readBytes = async (file: string, maxBytes = MAX_TEXT_BYTES): Promise<Uint8Array> =>
  readWhole(await resolveFile(file, 'Check the path.'), file, maxBytes);

const readWhole = async (real: string, file: string, maxBytes: number): Promise<Uint8Array> => {
  const handle = await open(real, 'r').catch((error: unknown) => {
    throw unreadable(file, error);
  });
  try {
    const { size } = await handle.stat();
    if (size > maxBytes) throw tooLong(file, size, maxBytes);
    return await readAt(handle, 0, size);
  } catch (error) {
    throw SpatialError.isInstance(error) ? error : unreadable(file, error);
  } finally {
    await handle.close();
  }
};

const tooLong = (file: string, size: number, maxBytes: number): SpatialError =>
  new SpatialError({
    code: 'FILE_INVALID',
    message: `${file}: expected at most ${formatBytes(maxBytes)}, found ${formatBytes(size)}`,
    hint: 'No such file is so long: check that it is the right one and not damaged.',
  });

const notUtf8 = (file: string, bytes: Uint8Array, cause: unknown): SpatialError => {
  const [first, second] = bytes;
  const isUtf16 = (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff);
  return new SpatialError({
    code: 'FILE_INVALID',
    message: `${file}: expected UTF-8 text, found ${isUtf16 ? 'UTF-16' : 'bytes that are no UTF-8'}`,
    hint: 'Save the file as UTF-8, or restore it from where it came from.',
    cause,
  });
};

/**
 * Text of a file that need not be there.
 * @throws SpatialError FILE_INVALID for something that is there and cannot be read as {@link readText} reads.
 */
export const readTextIfThere = async (
  file: string,
  maxBytes?: number,
): Promise<string | undefined> => {
  const found = await stat(file).catch((error: unknown) => {
    if (isAbsent(error)) return undefined;
    throw unreadable(file, error);
  });
  if (found === undefined) return undefined;
  if (found.isFile()) return readText(file, maxBytes);
  throw new SpatialError({
    code: 'FILE_INVALID',
    message: `${file}: expected a file, found ${describeKind(found)}`,
    hint: 'Remove it, or put the file in its place.',
  });
};

/**
 * Names in a folder that need not be there.
 * @throws SpatialError FILE_INVALID for a folder that is there and cannot be read.
 */
export const listIfThere = (folder: string): Promise<readonly string[]> =>
  readdir(folder).catch((error: unknown) => {
    if (isAbsent(error)) return [];
    throw unreadable(folder, error);
  });

/** Removes what an earlier failure left; that it cannot be removed is no news beside the failure. */
const discard = (name: string): Promise<void> =>
  rm(name, { recursive: true, force: true }).catch(() => undefined);

const temporaryOf = (file: string): string =>
  path.join(
    path.dirname(file),
    `.${path.basename(file)}.${process.pid}.${randomBytes(6).toString('hex')}.tmp`,
  );

const TEMPORARY = /^\..+\.\d+\.[0-9a-f]{12}\.tmp$/;

/**
 * Writes a file so that a crash at any moment leaves either the old or the whole new content: temporary file in the
 * same folder, flushed to disk, renamed over the target. A target that is a symbolic link is replaced, not followed.
 */
export const writeFileAtomic = async (
  file: string,
  content: Uint8Array | string | AsyncIterable<Uint8Array>,
): Promise<void> => {
  const temporary = temporaryOf(file);
  try {
    await writeDurably(temporary, content);
    await rename(temporary, file);
  } catch (error) {
    await discard(temporary);
    throw error;
  }
  await syncFolder(path.dirname(file));
};

/** Bytes that go into one write at least, but for the last: a write of each small tensor takes longer than copying it. */
const GATHERED_BYTES = 1 << 18;

/** The same bytes in fewer pieces. What is yielded is written over when the next piece is asked for. */
async function* gather(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const gathered = new Uint8Array(GATHERED_BYTES);
  let used = 0;
  for await (const piece of pieces) {
    if (used + piece.byteLength > GATHERED_BYTES) {
      yield gathered.subarray(0, used);
      used = 0;
    }
    if (piece.byteLength > GATHERED_BYTES) yield piece;
    else {
      gathered.set(piece, used);
      used += piece.byteLength;
    }
  }
  yield gathered.subarray(0, used);
}

const writeDurably = async (
  file: string,
  content: Uint8Array | string | AsyncIterable<Uint8Array>,
): Promise<void> => {
  const handle = await open(file, 'wx');
  try {
    if (typeof content === 'string') await writeAll(handle, new TextEncoder().encode(content));
    else if (content instanceof Uint8Array) await writeAll(handle, content);
    else for await (const bytes of gather(content)) await writeAll(handle, bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
};

/** What a folder is called while it is written, while another one takes its place, and while it is removed. */
const INCOMPLETE = '.incomplete';
const REPLACED = '.replaced';
const REMOVED = '.removed';

/**
 * Writes a folder so that a crash at any moment leaves the old or the whole new one, after {@link recoverFolders}: beside
 * its place, flushed to disk with everything in it, renamed. The old one goes last.
 * @param write fills the folder that it is given. One process at a time may write a folder.
 */
export const writeFolderAtomic = async (
  folder: string,
  write: (temporary: string) => Promise<void>,
): Promise<void> => {
  const temporary = `${folder}${INCOMPLETE}`;
  const parent = path.dirname(folder);
  await makeFolder(parent);
  await recoverFolders(parent);
  try {
    await mkdir(temporary);
    await write(temporary);
    await syncTree(temporary);
    await exchange(temporary, folder);
  } catch (error) {
    await discard(temporary);
    throw error;
  }
  await syncFolder(parent);
  await rm(`${folder}${REPLACED}`, { recursive: true, force: true });
};

/** Puts a complete folder into its place; where that fails, the one that was there goes back. */
const exchange = async (complete: string, folder: string): Promise<void> => {
  const replaced = `${folder}${REPLACED}`;
  await rename(folder, replaced).catch((error: unknown) => {
    if (!isAbsent(error)) throw error;
  });
  try {
    await rename(complete, folder);
  } catch (error) {
    await rename(replaced, folder).catch(() => undefined);
    throw error;
  }
};

/** Removes a folder so that a crash leaves it whole or leaves what {@link recoverFolders} knows to be waste. */
export const removeFolderAtomic = async (folder: string): Promise<void> => {
  const removed = `${folder}${REMOVED}`;
  await rm(removed, { recursive: true, force: true });
  await rename(folder, removed);
  await rm(removed, { recursive: true, force: true });
};

/**
 * Tidies a folder after a crash, while nobody else writes to it: files and folders that are not complete go, and a folder
 * whose successor did not arrive comes back.
 */
export const recoverFolders = async (parent: string): Promise<void> => {
  const names = await listIfThere(parent);
  for (const name of names) {
    const whole = name.endsWith(REPLACED) ? name.slice(0, -REPLACED.length) : undefined;
    const isWaste = name.endsWith(INCOMPLETE) || name.endsWith(REMOVED) || TEMPORARY.test(name);
    if (whole !== undefined && !names.includes(whole))
      await rename(path.join(parent, name), path.join(parent, whole));
    else if (whole !== undefined || isWaste)
      await rm(path.join(parent, name), { recursive: true, force: true });
  }
};

/**
 * Removes temporary files of {@link writeFileAtomic} that a crash has left in a folder which several processes use.
 * @param ageMs of those that nobody writes any more.
 */
export const removeTemporaries = async (folder: string, ageMs: number): Promise<void> => {
  for (const name of (await listIfThere(folder)).filter((each) => TEMPORARY.test(each))) {
    const file = path.join(folder, name);
    const found = await stat(file).catch(() => undefined);
    if (found !== undefined && Date.now() - found.mtimeMs > ageMs) await rm(file, { force: true });
  }
};

/** Adds a line to a log. A crash may leave a part of it: read logs with {@link readLines}. */
export const appendLine = (file: string, line: string): Promise<void> =>
  appendFile(file, `${line}\n`);

/** The complete lines of a log that need not be there, without empty ones. @throws as {@link readTextIfThere}. */
export const readLines = async (file: string): Promise<readonly string[]> => {
  const text = (await readTextIfThere(file)) ?? '';
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter((line) => line !== '');
};
