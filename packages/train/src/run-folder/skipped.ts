import { join } from 'node:path';
import { appendLine, readLines } from '@spatialsv/core';
import { z } from 'zod';

/** Samples that were left out because they could not be read. */
export const SKIPPED_FILE = 'skipped.jsonl';

const skipSchema = z.object({
  /** In the order of the run, 0 for the first sample ever seen. */
  position: z.int().min(0),
  /** Optimiser step that it would have been a part of. */
  step: z.int().min(1),
  /** What the sample is called in messages. */
  sample: z.string(),
  code: z.string(),
  message: z.string(),
});

/** A sample that was left out of a step. */
export type SkipRecord = z.output<typeof skipSchema>;

export async function appendSkip(out: string, skip: SkipRecord): Promise<void> {
  await appendLine(join(out, SKIPPED_FILE), JSON.stringify(skip));
}

/**
 * What was left out so far, by position; up to a line that a crash has cut. A resumed run leaves it out again, also what can be
 * read by then: otherwise it would not end as one that was never stopped.
 */
export async function readSkips(out: string): Promise<ReadonlyMap<number, SkipRecord>> {
  const skips = new Map<number, SkipRecord>();
  for (const line of await readLines(join(out, SKIPPED_FILE))) {
    const skip = parseSkip(line);
    if (skip === undefined) break;
    skips.set(skip.position, skip);
  }
  return skips;
}

function parseSkip(line: string): SkipRecord | undefined {
  try {
    return skipSchema.parse(JSON.parse(line));
  } catch {
    return undefined;
  }
}
