import { hashFile, type LabelledImage, type LabelStore, SpatialError } from '@spatialsv/core';
import type { CommandContext } from '../context.js';
import { countSets } from './label-report.js';

/** What is wrong with a view set. */
export interface StoreProblem {
  readonly key: string;
  readonly reason: string;
  /** Whether the labels themselves are damaged, and not only their images elsewhere. */
  readonly damaged: boolean;
}

/**
 * Checks every view set: blob, checksum and everything that is checked on write; images where asked.
 * @param images also whether the images are there and still the ones that were labelled.
 */
export async function verifyStore(
  store: LabelStore,
  images: boolean,
  { progress, signal }: CommandContext,
): Promise<StoreProblem[]> {
  const problems: StoreProblem[] = [];
  const checked = new Map<string, string | undefined>();
  progress.start('Verifying', store.count);
  let done = 0;
  for (const key of store.keys()) {
    signal.throwIfAborted();
    const reason = store.verify(key);
    if (reason !== undefined) problems.push({ key, reason, damaged: true });
    else if (images) problems.push(...(await imageProblems(store, key, checked)));
    progress.update(++done);
  }
  progress.done(`${countSets(done)} verified`);
  return problems;
}

async function imageProblems(
  store: LabelStore,
  key: string,
  checked: Map<string, string | undefined>,
): Promise<StoreProblem[]> {
  const problems: StoreProblem[] = [];
  for (const image of store.summary(key)!.images) {
    const name = `${image.sha256} ${image.path}`;
    if (!checked.has(name)) checked.set(name, await imageProblem(image));
    const reason = checked.get(name);
    if (reason !== undefined) problems.push({ key, reason, damaged: false });
  }
  return problems;
}

async function imageProblem({ path, sha256 }: LabelledImage): Promise<string | undefined> {
  try {
    const isSame = (await hashFile(path)) === sha256;
    return isSame ? undefined : `${path}: has changed since it was labelled`;
  } catch (error) {
    if (SpatialError.isInstance(error)) return error.message;
    throw error;
  }
}
