import { mkdir, open, readdir, realpath, stat, statfs } from 'node:fs/promises';
import { endianness } from 'node:os';
import path from 'node:path';
import type { Database, RootDatabase } from 'lmdb';
import { SpatialError } from '../errors.js';
import { readAt, syncFolder } from '../files.js';
import { STORE_VERSION } from './label-value.js';

/** The tables of a store. */
export interface StoreTables {
  readonly root: RootDatabase<string, string>;
  /** Key → safetensors bytes. */
  readonly values: Database<Uint8Array, string>;
  /** Key → record: what says that a value is there. */
  readonly records: Database<string, string>;
  /** Key → who works on it. */
  readonly claims: Database<string, string>;
}

const MARKER = 'spatialsv-labels';
const DATA_FILE = 'data.mdb';
const LOCK_FILE = 'lock.mdb';

const LMDB_OPTIONS = {
  encoding: 'string',
  // Otherwise a folder name with a dot in it would become a file.
  noSubdir: false,
  // A commit is on the disk before its promise resolves.
  overlappingSync: false,
  // What belongs together is batched by name. Batches of an event turn have a promise that nobody holds: a failed commit
  // would end the process as an unhandled rejection.
  eventTurnBatching: false,
  maxDbs: 8,
  // One for each thread that reads.
  maxReaders: 1024,
} as const;

export interface OpenStoreOptions {
  /** Neither creates nor changes anything; several processes may read while another writes. */
  readonly readOnly?: boolean;
}

/** Tables with a way to give them back. */
export interface OpenedTables extends StoreTables {
  readonly release: () => Promise<void>;
}

interface Shared {
  readonly tables: Promise<StoreTables>;
  users: number;
  closed?: Promise<void>;
}

/** What LMDB says to a writer in a process of which another thread reads; for its own thread it is said before. */
const OPEN_TO_READ = 'No transaction to renew';

/**
 * What this thread has open. One folder is opened once: to open it again LMDB would wait, with the thread, for a
 * transaction that needs this thread to end.
 */
const opened = new Map<string, Shared>();

/**
 * Opens or creates the tables of a store.
 * @throws SpatialError FILE_MISSING where there is no store to read; DATA_INVALID for a folder that is something else, a
 *   store of another version, and what the file system refuses.
 */
export const openTables = async (
  folder: string,
  { readOnly = false }: OpenStoreOptions,
): Promise<OpenedTables> => {
  await prepareFolder(folder, readOnly);
  const real = await realpath(folder);
  const [reading, writing] = [`read ${real}`, `write ${real}`];
  if (!readOnly && opened.has(reading)) throw storeError(folder, new Error(OPEN_TO_READ));
  const name = readOnly && !opened.has(writing) ? reading : writing;
  const shared = opened.get(name) ?? { tables: openFresh(folder, readOnly), users: 0 };
  if (shared.closed !== undefined) {
    await shared.closed;
    return openTables(folder, { readOnly });
  }
  opened.set(name, shared);
  shared.users++;
  return { ...(await takeTables(name, shared)), release: once(() => release(name, shared)) };
};

const takeTables = async (name: string, shared: Shared): Promise<StoreTables> => {
  try {
    return await shared.tables;
  } catch (error) {
    opened.delete(name);
    throw error;
  }
};

const once = (action: () => Promise<void>): (() => Promise<void>) => {
  let done: Promise<void> | undefined;
  return () => {
    done ??= action();
    return done;
  };
};

/** The last user closes: waits for what is being written. */
const release = async (name: string, shared: Shared): Promise<void> => {
  shared.users--;
  if (shared.users > 0) return;
  const { root } = await shared.tables;
  shared.closed = root.close().then(() => {
    opened.delete(name);
  });
  await shared.closed;
};

const openFresh = async (folder: string, readOnly: boolean): Promise<StoreTables> => {
  const root = await openRoot(folder, readOnly);
  try {
    if (!readOnly) await markNew(root, folder);
    checkMarker(root, folder);
    return { root, ...openNamed(root, folder) };
  } catch (error) {
    await root.close();
    throw storeError(folder, error);
  }
};

// ---------------------------------------------------------------------------------------------- folder

const prepareFolder = async (folder: string, readOnly: boolean): Promise<void> => {
  const content = await listFolder(folder);
  if (content?.includes(DATA_FILE)) return checkDataFile(folder, readOnly);
  if (readOnly) throw noStore(folder, content === undefined ? 'nothing' : 'no labels');
  const foreign = content?.find((name) => name !== LOCK_FILE);
  if (foreign !== undefined) throw notAStore(folder, `a folder that holds "${foreign}"`);
  await makeFolder(folder).catch((error: unknown) => {
    throw storeError(folder, error);
  });
};

/** Well above what an empty store and its locks take. */
const LEAST_FREE_BYTES = 1 << 20;

/** A new store needs room for its first pages: LMDB itself crashes without it. */
const makeFolder = async (folder: string): Promise<void> => {
  await mkdir(folder, { recursive: true });
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize < LEAST_FREE_BYTES) throw new Error(`no space left: ${bavail * bsize} bytes`);
};

/** @returns undefined where there is nothing. */
const listFolder = async (folder: string): Promise<readonly string[] | undefined> => {
  try {
    if (!(await stat(folder)).isDirectory()) throw notAStore(folder, 'a file');
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw storeError(folder, error);
  }
};

/** Where the first page says what it is, after the 24 bytes that every page begins with on 64-bit machines. */
const MAGIC_AT = 24;
const HEAD_BYTES = MAGIC_AT + 8;
const LMDB_MAGIC = 0xbeefc0de;
const LMDB_VERSION = 2;
const isLittleEndian = endianness() === 'LE';

/** LMDB itself crashes on a file that is not its own. An empty one is a store whose making was stopped at once. */
const checkDataFile = async (folder: string, readOnly: boolean): Promise<void> => {
  const head = await readHead(path.join(folder, DATA_FILE)).catch((error: unknown) => {
    throw storeError(folder, error);
  });
  if (head.byteLength === 0 && !readOnly) return;
  if (head.byteLength === 0) throw noStore(folder, 'no labels');
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const isLmdb =
    head.byteLength === HEAD_BYTES && view.getUint32(MAGIC_AT, isLittleEndian) === LMDB_MAGIC;
  if (isLmdb && view.getUint32(MAGIC_AT + 4, isLittleEndian) === LMDB_VERSION) return;
  throw storeError(folder, new Error(`MDB_INVALID: ${DATA_FILE} has another first page`));
};

const readHead = async (file: string): Promise<Uint8Array> => {
  const handle = await open(file, 'r');
  try {
    return await readAt(handle, 0, HEAD_BYTES);
  } finally {
    await handle.close();
  }
};

const noStore = (folder: string, found: string): SpatialError =>
  new SpatialError({
    code: 'FILE_MISSING',
    message: `${folder}: expected a label store, found ${found}`,
    hint: 'Check the path, or make labels first: spatialsv label --help.',
  });

const notAStore = (folder: string, found: string): SpatialError =>
  new SpatialError({
    code: 'DATA_INVALID',
    message: `${folder}: expected a label store or an empty folder, found ${found}`,
    hint: 'Name another folder; nothing was changed in this one.',
  });

// ---------------------------------------------------------------------------------------------- tables

const openRoot = async (folder: string, readOnly: boolean): Promise<StoreTables['root']> => {
  const lmdb = await import('lmdb').catch((error: unknown) => {
    throw new SpatialError({
      code: 'FILE_MISSING',
      message: `the LMDB library of this platform (${process.platform} ${process.arch}) cannot be loaded`,
      hint: 'Install again with optional dependencies: npm install --include=optional.',
      cause: error,
    });
  });
  try {
    return lmdb.open<string, string>({ ...LMDB_OPTIONS, path: folder, readOnly });
  } catch (error) {
    throw storeError(folder, error);
  }
};

/** Marks a fresh LMDB file as a store; leaves one that holds something else alone. */
const markNew = async (root: StoreTables['root'], folder: string): Promise<void> => {
  const isNew = root.transactionSync(() => {
    const { entryCount } = root.getStats() as { entryCount: number };
    if (entryCount === 0) root.putSync(MARKER, JSON.stringify({ version: STORE_VERSION }));
    return entryCount === 0;
  });
  if (!isNew) return;
  await syncFolder(folder);
  await syncFolder(path.dirname(path.resolve(folder)));
};

const checkMarker = (root: StoreTables['root'], folder: string): void => {
  const marker = root.get(MARKER);
  if (marker === undefined) throw notAStore(folder, 'an LMDB file of something else');
  const { version } = JSON.parse(marker) as { version: unknown };
  if (version === STORE_VERSION) return;
  throw new SpatialError({
    code: 'DATA_INVALID',
    message: `${folder}: a label store of version ${version}, expected ${STORE_VERSION}`,
    hint: 'Open it with the release of SpatialSV that made it, or make the labels again in another folder.',
  });
};

const openNamed = (root: StoreTables['root'], folder: string): Omit<StoreTables, 'root'> => {
  const open = <Value>(name: string, encoding: 'string' | 'binary'): Database<Value, string> => {
    const table = root.openDB<Value, string>({ name, encoding }) as
      | Database<Value, string>
      | undefined;
    // A writer that was stopped between the mark and the tables makes them when it comes again.
    if (table === undefined) throw noStore(folder, 'one that was never written to');
    return table;
  };
  return {
    values: open('values', 'binary'),
    records: open('records', 'string'),
    claims: open('claims', 'string'),
  };
};

// ---------------------------------------------------------------------------------------------- errors

interface Complaint {
  readonly pattern: RegExp;
  readonly problem: string;
  readonly hint: string;
}

const COMPLAINTS: readonly Complaint[] = [
  {
    pattern: new RegExp(OPEN_TO_READ),
    problem: 'this process has the store open to read and cannot open it to write as well',
    hint: 'Open it to write before anything of this process reads it, or write in another process.',
  },
  {
    pattern: /EACCES|EPERM|permission|EROFS|read-only file system|not permitted/i,
    problem: 'no permission',
    hint: 'Open it to read, ask its owner for the permission to write, or name another folder.',
  },
  {
    // LMDB calls it an input/output error when the disk took only a part of what it was given.
    pattern: /ENOSPC|no space left|EDQUOT|quota|EFBIG|file too large|EIO|input\/output/i,
    problem: 'the disk is full, or its files may not grow further',
    hint: 'Free space and start again: everything that was reported as written is there.',
  },
  {
    pattern: /MAP_FULL|mapsize|ENOMEM|cannot allocate/i,
    problem: 'the store cannot be mapped into memory',
    hint: 'Lift the limit of address space of this process (ulimit -v).',
  },
  {
    pattern: /MDB_INVALID|MDB_CORRUPTED|MDB_VERSION_MISMATCH|MDB_PAGE_NOTFOUND|not an LMDB/i,
    problem: 'not an LMDB file, or a damaged one',
    hint: 'Name the right folder, or remove it and make the labels again.',
  },
];

/** What LMDB or the file system said about a store, as an error that says what to do. */
export const storeError = (folder: string, error: unknown): SpatialError => {
  if (SpatialError.isInstance(error)) return error;
  const { message, code } = error as NodeJS.ErrnoException;
  const text = `${code ?? ''} ${message}`;
  const complaint = COMPLAINTS.find(({ pattern }) => pattern.test(text));
  return new SpatialError({
    code: 'DATA_INVALID',
    message: `${folder}: ${complaint ? `${complaint.problem} (${message})` : message}`,
    hint: complaint?.hint ?? 'Check the folder and the disk that it lies on.',
    cause: error,
  });
};
