/** Tables of a suite: a line for each model, columns of several benchmarks beside each other. */
import type { BenchmarkReportV1, ScoreColumnV1 } from '@spatialsv/core/spec';
import type { EvaluationResults, SuiteTable } from '@spatialsv/eval';
import { formatScore } from '../commands/format-evaluation.js';

/** What a model has reached on a benchmark, by name of the benchmark. */
export type ModelResults = ReadonlyMap<string, EvaluationResults>;

/** A table as it is printed; JSON. */
export interface PrintedTable {
  readonly title: string;
  readonly head: readonly string[];
  /** Name of the line first; `–` for what was not measured. */
  readonly rows: readonly (readonly string[])[];
}

const NOTHING = '–';

/** @param results by name of the model. */
export function printTable(
  table: SuiteTable,
  results: ReadonlyMap<string, ModelResults>,
): PrintedTable {
  const columns = table.benchmarks.flatMap((benchmark) => columnsOf(table, benchmark, results));
  const lines = [...results].map(([model, found]) => [
    model,
    ...columns.map(({ benchmark, column }) => cell(reportOf(found.get(benchmark)), column)),
    ...(table.average ? [average(table.benchmarks.map((name) => found.get(name)?.overall))] : []),
  ]);
  const heads = columns.map(({ head }) => head);
  return {
    title: table.title,
    head: ['Method', ...heads, ...(table.average ? ['Avg.'] : [])],
    rows: [...(table.chance ? chanceLines(table, columns, results) : []), ...lines],
  };
}

interface Column {
  readonly benchmark: string;
  /** Name of the column within the benchmark; undefined for its overall figure. */
  readonly column: string | undefined;
  readonly head: string;
}

/** Those that any model has: categories come from the questions. */
function columnsOf(
  { columns, benchmarks }: SuiteTable,
  benchmark: string,
  results: ReadonlyMap<string, ModelResults>,
): readonly Column[] {
  if (columns === 'overall') return [{ benchmark, column: undefined, head: benchmark }];
  const any = [...results.values()].find((found) => found.has(benchmark))?.get(benchmark);
  const before = benchmarks.length > 1 ? `${benchmark}: ` : '';
  const inner = (any?.columns ?? []).map(({ name }) => ({
    ...{ benchmark, column: name, head: `${before}${name}` },
  }));
  return [...inner, { benchmark, column: undefined, head: `${before}Overall` }];
}

type Report = Pick<BenchmarkReportV1, 'overall' | 'columns'>;

const reportOf = (found: EvaluationResults | undefined): Report | undefined => found;

function cell(report: Report | undefined, column: string | undefined): string {
  if (report === undefined) return NOTHING;
  const score =
    column === undefined ? report.overall : report.columns.find(({ name }) => name === column);
  return score === undefined ? NOTHING : formatScore(score);
}

/** The mean of figures in per cent before they are rounded; errors have no mean with them. */
function average(overall: readonly (ScoreColumnV1 | undefined)[]): string {
  const values = overall.flatMap((score) =>
    score === undefined || score.unit === 'error' || score.unit === 'count'
      ? []
      : [100 * score.value],
  );
  if (values.length < overall.length) return NOTHING;
  return (values.reduce((sum, value) => sum + value, 0) / values.length).toFixed(1);
}

/** Guessing on the questions of the first model that has them. */
function chanceLines(
  { average: hasAverage }: SuiteTable,
  columns: readonly Column[],
  results: ReadonlyMap<string, ModelResults>,
): readonly (readonly string[])[] {
  const chanceOf = (benchmark: string) =>
    [...results.values()].map((found) => found.get(benchmark)?.chance).find((chance) => chance);
  const line = (title: string, kind: 'letters4' | 'frequency') => [
    title,
    ...columns.map(({ benchmark, column }) => cell(chanceOf(benchmark)?.[kind], column)),
    ...(hasAverage ? [NOTHING] : []),
  ];
  return [line('Chance Level (Random)', 'letters4'), line('Chance Level (Frequency)', 'frequency')];
}
