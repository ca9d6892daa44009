import { lstat, readlink, rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { readTextIfThere, SpatialError, writeFileAtomic } from '@spatialsv/core';
import { z } from 'zod';
import { checkpointsFolder, listCheckpoints } from '../checkpoint/checkpoint.js';
import { CRITERIA } from '../config/criteria.js';

const BEST_FILE = 'best.json';

const bestSchema = z.object({
  /** Optimiser steps taken. */
  step: z.int().min(0),
  criterion: z.enum(CRITERIA),
  /** Higher is better: accuracy, or the negative error. */
  score: z.number(),
});

/** The best checkpoint of a run, by its held-out samples. */
export type BestRecord = z.output<typeof bestSchema>;

/**
 * @returns undefined where there is none, or where its checkpoint has gone.
 * @throws SpatialError FILE_INVALID.
 */
export async function readBest(out: string): Promise<BestRecord | undefined> {
  const file = join(out, BEST_FILE);
  const text = await readTextIfThere(file);
  if (text === undefined) return undefined;
  try {
    const best = bestSchema.parse(JSON.parse(text));
    return (await listCheckpoints(out)).includes(best.step) ? best : undefined;
  } catch (cause) {
    throw new SpatialError({
      code: 'FILE_INVALID',
      message: `${file}: not the record of a best checkpoint (${(cause as Error).message})`,
      hint: 'Delete the file; the next evaluation writes it anew.',
      cause,
    });
  }
}

/** Records the best checkpoint, which is there, and lets `checkpoints/best` name it. */
export async function writeBest(out: string, best: BestRecord): Promise<void> {
  await writeFileAtomic(join(out, BEST_FILE), `${JSON.stringify(best, null, 2)}\n`);
  await linkBest(out, best.step);
}

/** Lets `checkpoints/best` be another name of a checkpoint. A system without links goes without. */
async function linkBest(out: string, step: number): Promise<void> {
  const link = join(checkpointsFolder(out), 'best');
  const target = `step-${step}`;
  if ((await readlink(link).catch(() => undefined)) === target) return;
  const isOther = await lstat(link).then(
    (found) => !found.isSymbolicLink(),
    () => false,
  );
  if (isOther) return;
  const fresh = `${link}.new`;
  await rm(fresh, { force: true });
  const made = await symlink(target, fresh, 'dir').then(
    () => true,
    () => false,
  );
  if (made) await rename(fresh, link);
}
