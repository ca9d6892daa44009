import { join } from 'node:path';
import { writeReport } from '@spatialsv/inspect';
import type { CommandContext } from '../context.js';
import { evaluationReport } from '../view/evaluation-report.js';
import type { NamedRun } from './read-run.js';
import type { WrittenCase } from './write-cases.js';

/** A case and the place of its question in a report page. */
export interface ReportedCase extends WrittenCase {
  /** Page, relative to the folder of the explanation, with the question after `#`. */
  readonly report: string;
}

/**
 * Writes a report page of the cases of each model, and of each pair of models that a contrast names.
 * @param out folder of the explanation.
 */
export async function writeReports(
  cases: readonly WrittenCase[],
  runs: readonly NamedRun[],
  out: string,
  { progress, signal }: CommandContext,
): Promise<readonly ReportedCase[]> {
  const pages = new Map<string, WrittenCase[]>();
  for (const one of cases) pages.set(pageOf(one), [...(pages.get(pageOf(one)) ?? []), one]);
  progress.start('Writing reports', pages.size);
  let done = 0;
  for (const [page, some] of pages) {
    signal.throwIfAborted();
    const names = some[0]!.models.map(({ name }) => name);
    await writePage(some, names, runs, join(out, page));
    progress.update(++done);
  }
  progress.done(`${pages.size} reports`);
  return cases.map((one) => ({ ...one, report: `${pageOf(one)}#${encodeURIComponent(one.id)}` }));
}

const pageOf = ({ models }: WrittenCase): string =>
  `reports/${models.map(({ name }) => name.replaceAll(/[^\w.-]+/g, '-')).join('-and-')}.html`;

async function writePage(
  cases: readonly WrittenCase[],
  names: readonly string[],
  runs: readonly NamedRun[],
  page: string,
): Promise<void> {
  const folders = names.map((name) => runs.find((run) => run.name === name)!.folder);
  const report = await evaluationReport(folders);
  const ids = new Set(cases.map(({ id }) => id));
  const questions = report.questions.filter(({ id }) => ids.has(id));
  const scenes = new Set(questions.flatMap(({ scene }) => scene ?? []));
  const sceneKeys = report.sceneKeys.filter((key) => scenes.has(key));
  const subtitle = `${report.subtitle ?? ''}: ${questions.length} cases`;
  await writeReport({ ...report, subtitle, questions, sceneKeys }, page);
}
