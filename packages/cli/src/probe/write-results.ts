import { join } from 'node:path';
import { writeFileAtomic } from '@spatialsv/core';
import { toCsv } from '@spatialsv/inspect';
import type { ModelResults, SubjectSummary } from './summary.js';
import { MAIN_METRIC, taskTables } from './summary.js';

const UNITS = `Depths and origins are in units of the mean distance of the scene's points from the first camera. "constant" never looks at
the image; "random" reads noise; "pixels" the image itself; "label-features" what the label source computed.`;

/** Tables of all tasks as Markdown. */
export function markdown(summaries: readonly SubjectSummary[], facts: readonly string[]): string {
  const several = new Set(summaries.map(({ model }) => model)).size > 1;
  const tables = [...taskTables(summaries, several)].map(([task, [header, ...rows]]) => {
    const line = (cells: readonly string[]) =>
      `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
    const better = MAIN_METRIC[task].lessIsBetter ? 'less is better' : 'more is better';
    const rule = `|${header!.map(() => '---').join('|')}|`;
    return [
      `## ${task} (${header![several ? 3 : 2]}: ${better})`,
      '',
      line(header!),
      rule,
      ...rows.map(line),
      '',
    ].join('\n');
  });
  return [`# Probes`, '', ...facts.map((fact) => `- ${fact}`), '', UNITS, '', ...tables].join('\n');
}

type Row = Readonly<Record<string, string | number | null>>;

/** Every metric of every probe; a row for each value. */
const probeRows = (models: readonly ModelResults[]): Row[] =>
  models.flatMap(({ model, results }) =>
    results.flatMap(({ task, subject, channels, seed, metrics }) =>
      Object.entries(metrics).map(([metric, value]) => ({
        model,
        task,
        probed: subject,
        channels,
        seed,
        metric,
        value,
      })),
    ),
  );

const curveRows = (models: readonly ModelResults[]): Row[] =>
  models.flatMap(({ model, results }) =>
    results.flatMap(({ task, subject, seed, curve }) =>
      curve.map((point) => ({ model, task, probed: subject, seed, ...point })),
    ),
  );

const summaryRows = (summaries: readonly SubjectSummary[]): Row[] =>
  summaries.flatMap(({ metrics, subject, ...summary }) =>
    Object.entries(metrics).map(([metric, spread]) => {
      const { model, task, channels, seeds } = summary;
      return { model, task, probed: subject, channels, seeds, metric, ...spread };
    }),
  );

/** Writes everything that is read of a run: tables, values and learning curves. */
export async function writeResults(
  out: string,
  models: readonly ModelResults[],
  summaries: readonly SubjectSummary[],
  { results, facts }: { readonly results: object; readonly facts: readonly string[] },
): Promise<void> {
  const curves = curveRows(models);
  const files: Readonly<Record<string, string>> = {
    'results.json': `${JSON.stringify(results, null, 2)}\n`,
    'results.md': markdown(summaries, facts),
    'probes.csv': toCsv(probeRows(models)),
    'summary.csv': toCsv(summaryRows(summaries)),
    'curves.csv': toCsv(curves),
    'curves.jsonl': curves.map((row) => `${JSON.stringify(row)}\n`).join(''),
  };
  for (const [name, text] of Object.entries(files)) await writeFileAtomic(join(out, name), text);
}
