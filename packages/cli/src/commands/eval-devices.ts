import { join } from 'node:path';
import type { Shard } from '@spatialsv/core';
import type { CommandContext } from '../context.js';
import { partsOf, runParts, withoutOptions } from '../device-processes.js';
import type { EvalOptions } from './eval-options.js';
import { mergeRuns } from './eval-runs.js';

/** Run folders of the parts, in that of the whole: the same devices go on where they were stopped. */
const partFolder = (out: string, { index, count }: Shard): string =>
  join(out, 'shards', `${index}-of-${count}`);

/** Evaluates with a process for each device, and puts their runs together in `--out`. @param args of the command line. */
export async function evaluateOnDevices(
  options: EvalOptions & { readonly devices: readonly string[] },
  args: readonly string[],
  context: CommandContext,
): Promise<void> {
  const { devices, shard, out, seed, json } = options;
  const parts = partsOf(withoutOptions(args, { '--out': true }), devices, shard, (own) => [
    '--out',
    partFolder(out, own),
  ]);
  context.progress.start(`Evaluating on ${devices.join(', ')}`);
  await runParts(parts, context);
  context.progress.done();
  const runs = parts.map((part) => partFolder(out, part.shard));
  await mergeRuns(runs, { out, seed, json }, context);
}
