import { type LabelLicenceV1, type LabelRunResult, withCleanup } from '@spatialsv/core';
import type { CommandContext } from '../context.js';
import { type EndedPart, partsOf, runParts } from '../device-processes.js';
import { describeRun, endWithFailures } from '../labels/label-report.js';
import type { LabelOptions } from './label.js';

/** What a part prints; see `labelSummary`. */
interface LabelSummary extends LabelRunResult {
  readonly source: string;
  readonly model: string;
  readonly licence: LabelLicenceV1;
  readonly stored: number;
}

/** Labels with a process for each device; all of them fill one store. @param args of the command line. */
export async function labelOnDevices(
  options: LabelOptions & { readonly devices: readonly string[] },
  args: readonly string[],
  context: CommandContext,
): Promise<void> {
  const { devices, shard, out, json } = options;
  const parts = partsOf(args, devices, shard);
  context.progress.start(`Labelling on ${devices.join(', ')}`);
  const ended = await withCleanup(
    () => runParts(parts, context),
    () => context.progress.done(),
  );
  const summaries = ended.map(({ out: text }: EndedPart) => JSON.parse(text) as LabelSummary);
  const whole = merged(summaries);
  // Each counted when it ended: the last one saw all that there is.
  const stored = Math.max(...summaries.map((summary) => summary.stored));
  const { source, model, licence } = summaries[0]!;
  const viewsPerSecond = whole.seconds > 0 ? whole.views / whole.seconds : 0;
  const summary = { store: out, source, model, licence, devices, ...whole, viewsPerSecond, stored };
  context.out(json ? `${JSON.stringify(summary)}\n` : describeRun(out, stored, whole));
  endWithFailures(out, whole, context);
}

function merged(results: readonly LabelRunResult[]): LabelRunResult {
  const sum = (count: (result: LabelRunResult) => number) =>
    results.reduce((total, result) => total + count(result), 0);
  return {
    sets: sum(({ sets }) => sets),
    written: sum(({ written }) => written),
    views: sum(({ views }) => views),
    present: sum(({ present }) => present),
    skipped: sum(({ skipped }) => skipped),
    rejected: sum(({ rejected }) => rejected),
    failures: results.flatMap(({ failures }) => failures),
    // They worked at the same time.
    seconds: Math.max(...results.map(({ seconds }) => seconds)),
    complete: results.every(({ complete }) => complete),
  };
}
