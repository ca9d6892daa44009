import { constants } from 'node:fs';
import { copyFile, link, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { SpatialError } from './errors.js';
import { makeFolder, readTextIfThere, writeFileAtomic } from './files.js';
import {
  createProcessOwner,
  livenessOf,
  type ProcessOwner,
  processOwnerSchema,
} from './process-owner.js';

/** The lock of a folder: one process writes there. */
export const LOCK_FILE = 'run.lock';

/** How long a lock holds against processes that cannot see its owner, unless it is renewed, ms. */
const LEASE_MS = 5 * 60_000;

const lockSchema = z.object({
  owner: processOwnerSchema.extend({ id: z.uuid() }),
  /** What the owner does. */
  purpose: z.string(),
  /** ISO time. */
  since: z.string(),
  /** ms since 1970. */
  expiresAt: z.number(),
});

type Lock = Readonly<z.infer<typeof lockSchema>>;

/** A folder that this process alone writes to. */
export interface FolderLock {
  /** @throws SpatialError USAGE when another process has taken the lock since, or somebody has deleted it. */
  requireHeld(): Promise<void>;
  release(): Promise<void>;
}

/**
 * Takes the lock of a folder, which is made where it is missing. A lock whose process has died is taken over; one of
 * another host or container when it has not been renewed for five minutes.
 * @param purpose what this process does, for the message that others get: `train`.
 * @throws SpatialError USAGE naming the owner when another process, or this one, holds the lock.
 */
export async function lockFolder(folder: string, purpose: string): Promise<FolderLock> {
  await makeFolder(folder);
  const file = path.join(folder, LOCK_FILE);
  const owner = createProcessOwner();
  const since = new Date().toISOString();
  const current = (): Lock => ({ owner, purpose, since, expiresAt: Date.now() + LEASE_MS });
  await acquire(file, current());
  return heldLock(file, owner, current);
}

function heldLock(file: string, owner: ProcessOwner, current: () => Lock): FolderLock {
  const isMine = async () => (await readLock(file))?.owner.id === owner.id;
  let renewing = Promise.resolve();
  const renew = async () => {
    if (await isMine()) await writeFileAtomic(file, encode(current()));
  };
  const timer = setInterval(() => {
    // A lock that could not be renewed still holds where its owner is seen.
    renewing = renewing.then(renew).catch(() => undefined);
  }, LEASE_MS / 5).unref();
  return {
    requireHeld: async () => {
      if (!(await isMine())) throw lost(file, await readLock(file));
    },
    release: async () => {
      clearInterval(timer);
      await renewing;
      if (await isMine()) await rm(file, { force: true });
    },
  };
}

/** Puts `mine` into `file`, unless a process that may live has the place. */
async function acquire(file: string, mine: Lock): Promise<void> {
  const temporary = `${file}.${mine.owner.id}.tmp`;
  await writeFileAtomic(temporary, encode(mine));
  try {
    while (!(await place(temporary, file))) {
      const found = await readLock(file);
      if (found === undefined) continue;
      if (isTaken(found)) throw taken(file, found);
      if (await takeOver(file, found, temporary, mine)) return;
    }
  } finally {
    await rm(temporary, { force: true });
  }
}

/** @returns false where the name is in use. The content is there at once: it is linked, not written. */
async function place(temporary: string, file: string): Promise<boolean> {
  try {
    await link(temporary, file).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') throw error;
      // A file system without hard links.
      return copyFile(temporary, file, constants.COPYFILE_EXCL);
    });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Replaces the lock of a dead process. Of all who find it dead, one at a time may: whoever holds a lock that is named
 * after the dead owner. Others find another owner in the file when their turn comes.
 */
async function takeOver(file: string, dead: Lock, temporary: string, mine: Lock): Promise<boolean> {
  const guard = `${file}.${dead.owner.id}`;
  await acquire(guard, mine);
  try {
    if ((await readLock(file))?.owner.id !== dead.owner.id) return false;
    await rename(temporary, file);
    return true;
  } finally {
    await rm(guard, { force: true });
  }
}

const isTaken = ({ owner, expiresAt }: Lock): boolean => {
  const liveness = livenessOf(owner);
  const left = expiresAt - Date.now();
  return liveness === 'alive' || (liveness === 'unknown' && left > 0 && left <= LEASE_MS);
};

const encode = (lock: Lock): string => `${JSON.stringify(lock, null, 2)}\n`;

/** @returns undefined where there is none. @throws SpatialError FILE_INVALID for a file that is no lock. */
async function readLock(file: string): Promise<Lock | undefined> {
  const text = await readTextIfThere(file);
  if (text === undefined) return undefined;
  try {
    return lockSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new SpatialError({
      code: 'FILE_INVALID',
      message: `${file}: not the lock of a run`,
      hint: 'Delete this file if no process of yours writes to its folder.',
      cause,
    });
  }
}

const describe = ({ purpose, owner, since }: Lock): string =>
  `'${purpose}', process ${owner.pid} on ${owner.host.split(' ')[0]}, since ${since}`;

const taken = (file: string, lock: Lock): SpatialError =>
  new SpatialError({
    code: 'USAGE',
    message: `${path.dirname(file)}: in use by ${describe(lock)}`,
    hint: `Wait until it has ended, or choose another folder. If it runs no more on that machine, delete ${file}.`,
  });

const lost = (file: string, now: Lock | undefined): SpatialError =>
  new SpatialError({
    code: 'USAGE',
    message: `${path.dirname(file)}: this process no longer holds the folder; ${now === undefined ? 'its lock was deleted' : `it was taken by ${describe(now)}`}`,
    hint: 'Nothing more was written. Let one process at a time write to the folder.',
  });
