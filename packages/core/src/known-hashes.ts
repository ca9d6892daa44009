import type { BigIntStats } from 'node:fs';
import { mkdir, readFile, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve, sep } from 'node:path';
import { userCacheFolder } from '@spatialsv/engine';
import { z } from 'zod';
import { writeFileAtomic } from './files.js';
import { hashFile } from './hash-files.js';

/** What of a file cannot stay the same when its content changes: its place on the disk, size, and times of change. */
type Stamp = string;

const contentSchema = z.object({
  version: z.literal(1),
  /** Stamp and SHA-256 by absolute path, those that were asked for last at the end. */
  files: z.record(z.string(), z.tuple([z.string(), z.string()])),
});

/** Files that are kept: those that nobody has asked for the longest go first. */
const KEPT = 500_000;

/** Times of files are this coarse on some disks: what has changed just now may change again without showing it. */
const SETTLED_MS = 2000;

export interface KnownHashesOptions {
  /** Where they are kept; in the user's folder for caches where absent. */
  readonly file?: string;
  /** Folder of files that come and go, which no later process asks for; that of the system where absent. */
  readonly temporary?: string;
  /** Age of the last change from which on a hash is remembered. */
  readonly settledMs?: number;
  readonly hash?: (path: string) => Promise<string>;
}

/**
 * SHA-256 of files, of which only those are read that have changed since they were read last, by this or an earlier process. Told by
 * device, inode, size, time of the content and time of the last change of anything: the last one is set by the system at every write and
 * cannot be set back, as that of the content can.
 */
export class KnownHashes {
  readonly #file: string;
  readonly #temporary: string;
  readonly #settledMs: number;
  readonly #hash: (path: string) => Promise<string>;
  #known: Promise<Map<string, readonly [Stamp, string]>> | undefined;
  #isChanged = false;

  constructor(options: KnownHashesOptions = {}) {
    this.#file = options.file ?? join(userCacheFolder(), 'file-hashes.json');
    this.#temporary = resolve(options.temporary ?? tmpdir()) + sep;
    this.#settledMs = options.settledMs ?? SETTLED_MS;
    this.#hash = options.hash ?? hashFile;
  }

  /**
   * SHA-256 of a file, 64 hexadecimal digits.
   * @throws SpatialError FILE_MISSING | FILE_INVALID.
   */
  readonly of = async (path: string): Promise<string> => {
    this.#known ??= readKnown(this.#file);
    const known = await this.#known;
    const name = resolve(path);
    const before = await stampOf(name);
    const found = known.get(name);
    if (found !== undefined && found[0] === before?.stamp) return found[1];
    const hash = await this.#hash(path);
    // Only what nobody wrote meanwhile, and not just before either.
    const isSettled = before !== undefined && Date.now() - before.changedMs >= this.#settledMs;
    if (isSettled && (await stampOf(name))?.stamp === before.stamp) {
      known.delete(name);
      known.set(name, [before.stamp, hash]);
      this.#isChanged ||= this.#lasts(name);
    }
    return hash;
  };

  #lasts(name: string): boolean {
    return !name.startsWith(this.#temporary);
  }

  /** Keeps what was found for later processes. A folder that cannot be written to is no failure: then files are read again. */
  async keep(): Promise<void> {
    if (!this.#isChanged) return;
    this.#isChanged = false;
    // Others may have written since.
    const all = await readKnown(this.#file);
    for (const [name, entry] of await this.#known!) {
      all.delete(name);
      all.set(name, entry);
    }
    const lasting = [...all].filter(([name]) => this.#lasts(name));
    const files = Object.fromEntries(lasting.slice(-KEPT));
    const content = JSON.stringify({ version: 1, files });
    await mkdir(dirname(this.#file), { recursive: true })
      .then(() => writeFileAtomic(this.#file, content))
      .catch(() => undefined);
  }
}

/** Those of this process. */
export const knownHashes = new KnownHashes();

/** @returns undefined for what is not there: reading it will say so. */
async function stampOf(path: string) {
  const found: BigIntStats | undefined = await stat(path, { bigint: true }).catch(() => undefined);
  if (found === undefined) return undefined;
  const { dev, ino, size, mtimeNs, ctimeNs, ctimeMs } = found;
  return { stamp: [dev, ino, size, mtimeNs, ctimeNs].join(' '), changedMs: Number(ctimeMs) };
}

/** Empty where there is no file, or one that is broken. */
async function readKnown(file: string): Promise<Map<string, readonly [Stamp, string]>> {
  try {
    const { files } = contentSchema.parse(JSON.parse(await readFile(file, 'utf8')));
    return new Map(Object.entries(files));
  } catch {
    return new Map();
  }
}
