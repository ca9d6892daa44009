import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { lockFolder, SpatialError, withCleanup, writeFileAtomic } from '@spatialsv/core';
import {
  CASE_RULES,
  chooseCases,
  EVALUATION_FILE,
  type ExplainedRun,
  type Explanation,
  explainRuns,
  RESULTS_FILE,
} from '@spatialsv/eval';
import {
  drawsText,
  type FigureFiles,
  QUALITY_MEASURES,
  type QualityMeasure,
  type QualityName,
  writeFigure,
} from '@spatialsv/inspect';
import { type CommandContext, formatTable } from '../context.js';
import { correlationText, explanationFigures, signed } from '../explain/explain-figures.js';
import { summaryMarkdown } from '../explain/explain-summary.js';
import { type RatedLifts, rateLifts } from '../explain/rate-lifts.js';
import { type NamedRun, readRuns } from '../explain/read-run.js';
import { writeCases } from '../explain/write-cases.js';
import { type ReportedCase, writeReports } from '../explain/write-reports.js';
import { packageVersion } from '../version.js';

export interface ExplainCommandOptions {
  readonly out: string;
  readonly quality: QualityName;
  readonly bins: number;
  readonly cases: number;
  readonly seed: number;
  readonly json: boolean;
}

/** Name of the page for people. */
const SUMMARY_FILE = 'summary.md';
/** What an earlier explanation has written; measured qualities stay. */
const WRITTEN = ['figures', 'cases', 'reports', SUMMARY_FILE, RESULTS_FILE];

/** `results.json` of an explanation. */
export interface ExplanationResults extends Explanation {
  readonly spatialsv: string;
  readonly benchmark: string;
  readonly variant: string;
  readonly measure: QualityMeasure & { readonly name: QualityName; readonly unit: string };
  readonly bins: number;
  readonly seed: number;
  /** Source of the labels; null for a measure without. */
  readonly labels: string | null;
  readonly runs: readonly { readonly name: string; readonly folder: string }[];
  readonly cases: readonly ReportedCase[];
  readonly caseRules: typeof CASE_RULES;
  readonly figures: readonly FigureFiles[];
  readonly notes: readonly string[];
}

export async function explain(
  folders: readonly string[],
  options: ExplainCommandOptions,
  context: CommandContext,
): Promise<void> {
  requireNoRun(options.out);
  const runs = await readRuns(folders);
  const lock = await lockFolder(options.out, 'explain');
  const work = async () => writeExplanation(runs, options, context);
  const results = await withCleanup(work, () => lock.release());
  for (const note of results.notes) context.err(`${note}\n`);
  context.out(options.json ? `${JSON.stringify(results)}\n` : textOf(results, options.out));
}

function requireNoRun(out: string): void {
  if (!existsSync(join(out, EVALUATION_FILE))) return;
  throw new SpatialError({
    code: 'USAGE',
    message: `--out ${out}: expected a folder of its own, found the run folder of an evaluation`,
    hint: 'Choose another folder: results.json there would be overwritten.',
  });
}

async function writeExplanation(
  runs: readonly NamedRun[],
  options: ExplainCommandOptions,
  context: CommandContext,
): Promise<ExplanationResults> {
  const { out, quality, bins, cases, seed } = options;
  const measure = QUALITY_MEASURES[quality];
  const rated: RatedLifts[] = [];
  for (const [i, run] of runs.entries()) {
    const log = join(out, 'quality', `${i + 1}-${run.name.replaceAll(/[^\w.-]+/g, '-')}.jsonl`);
    rated.push(await rateLifts(run, quality, log, context));
  }
  requireQualities(runs, rated, measure);
  const explained = runs.map((run, i) => explainedRun(run, rated[i]!));
  const explanation = explainRuns(explained, { better: measure.better, bins, seed });
  for (const name of WRITTEN) await rm(join(out, name), { recursive: true, force: true });
  const chosen = chooseCases(explained, cases, measure);
  const shown = await writeCases(chosen, runs, out, measure, context);
  const written = await writeReports(shown, runs, out, context);
  const unit = unitOf(quality);
  const figures = await writeFigures(explanation, { ...measure, unit }, out);
  const { benchmark, variant } = runs[0]!.record;
  const results: ExplanationResults = {
    spatialsv: packageVersion(),
    ...{ benchmark, variant, bins, seed },
    measure: { name: quality, ...measure, unit },
    labels: rated.flatMap(({ labelSources }) => labelSources)[0] ?? null,
    runs: runs.map(({ name, folder }) => ({ name, folder })),
    ...explanation,
    ...{ cases: written, caseRules: CASE_RULES, figures },
    notes: await notesOf(runs, rated),
  };
  await writeFileAtomic(join(out, RESULTS_FILE), `${JSON.stringify(results, null, 2)}\n`);
  await writeFileAtomic(join(out, SUMMARY_FILE), markdownOf(results, explanation));
  return results;
}

function explainedRun(
  { name, answers, questions }: NamedRun,
  { qualities }: RatedLifts,
): ExplainedRun {
  return {
    name,
    answers: answers.map(({ key, score, question: { category } }) => {
      const views = questions.get(key)?.views;
      return {
        ...{ key, category },
        views: views ?? key,
        right: score === 1,
        quality: views === undefined ? undefined : qualities.get(views),
      };
    }),
  };
}

/** @throws SpatialError USAGE where no run has what the measure takes, or runs were compared with labels of different sources. */
function requireQualities(
  runs: readonly NamedRun[],
  rated: readonly RatedLifts[],
  { title, needsLabels }: QualityMeasure,
): void {
  const sources = [...new Set(rated.flatMap(({ labelSources }) => labelSources))];
  if (needsLabels && sources.length > 1)
    throw new SpatialError({
      code: 'USAGE',
      message: `explain: expected labels of one source, found ${runs.map(({ name }, i) => `${rated[i]!.labelSources.join(' and ') || 'none'} in ${name}`).join(', ')}`,
      hint: 'Lift the runs again beside the same labels: `spatialsv eval … --lift --labels STORE` asks nothing that is answered.',
    });
  if (rated.some(({ qualities }) => qualities.size > 0)) return;
  const lifts = rated.reduce((sum, { lifts: some }) => sum + some, 0);
  const what = needsLabels ? '--lift --labels STORE' : '--lift';
  throw new SpatialError({
    code: 'DATA_INVALID',
    message: `explain: expected lifts with ${title} in at least one of ${runs.map(({ folder }) => folder).join(', ')}, found ${lifts === 0 ? 'no lifts' : `${lifts} lifts without what it takes`}`,
    hint: `Run the same \`spatialsv eval\` command with ${what}: it asks nothing that is answered. The checkpoint needs 3D heads.`,
  });
}

/** Depth and points are in the scale in which heads learn them. */
const unitOf = (name: QualityName): string =>
  name.startsWith('depth-rmse') || name === 'chamfer' ? 'mean distance of the scene = 1' : '';

async function writeFigures(
  explanation: Explanation,
  measure: ExplanationResults['measure'] | (QualityMeasure & { readonly unit: string }),
  out: string,
): Promise<readonly FigureFiles[]> {
  const written: FigureFiles[] = [];
  for (const figure of explanationFigures(explanation, measure)) {
    const { svg, png, csv } = await writeFigure(join(out, 'figures'), figure);
    written.push({ svg: `figures/${svg}`, png: `figures/${png}`, csv: `figures/${csv}` });
  }
  return written;
}

async function notesOf(
  runs: readonly NamedRun[],
  rated: readonly RatedLifts[],
): Promise<readonly string[]> {
  const ofRuns = runs.flatMap(({ name, answers, record }, i) => {
    const { qualities, viewSets } = rated[i]!;
    const asked = record.data.questions;
    return [
      ...(qualities.size === 0
        ? [`${name}: no quality, so it is left out of the correlation`]
        : []),
      ...(qualities.size > 0 && qualities.size < viewSets
        ? [`${name}: ${viewSets - qualities.size} of ${viewSets} view sets have no quality`]
        : []),
      ...(answers.length < asked ? [`${name}: ${answers.length} scored answers of ${asked}`] : []),
    ];
  });
  const noFont =
    'PNG figures have no letters: this machine has no font (on Debian: fonts-dejavu); SVG figures have them';
  return (await drawsText()) ? ofRuns : [...ofRuns, noFont];
}

const markdownOf = (results: ExplanationResults, explanation: Explanation): string =>
  summaryMarkdown({
    explanation,
    measure: results.measure,
    benchmark: `${results.benchmark} (${results.variant})`,
    labels: results.labels ?? undefined,
    cases: results.cases,
    rules: results.caseRules,
    notes: results.notes,
  });

function textOf({ models, overModels, measure }: ExplanationResults, out: string): string {
  const rows = models.map(({ name, quality, accuracy, viewSets }) => [
    name,
    quality === null ? '–' : signed(quality, 4),
    `${(100 * accuracy).toFixed(1)} %`,
    String(viewSets),
  ]);
  return [
    formatTable([
      ['MODEL', measure.title.toUpperCase(), 'ACCURACY', 'VIEW SETS'],
      ...rows,
    ]).trimEnd(),
    `Pearson ${correlationText(overModels.pearson)}; Spearman ${correlationText(overModels.spearman)}`,
    join(out, SUMMARY_FILE),
    '',
  ].join('\n');
}
