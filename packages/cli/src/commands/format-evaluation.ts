import type { BenchmarkReportV1, ScoreColumnV1 } from '@spatialsv/core/spec';
import { type EvaluationResults, type Protocol, tablePercentage } from '@spatialsv/eval';
import { formatTable } from '../context.js';

/** Columns of a benchmark, other figures, guessing, and tests, for people. */
export function formatEvaluation(
  { benchmark }: Pick<Protocol, 'benchmark'>,
  results: EvaluationResults,
): string {
  const { overall, columns, beside, intervals, counts, chance, accuracy } = results;
  const row = (column: ScoreColumnV1) => [
    column.name,
    formatScore(column),
    column.correct === undefined ? `${column.total}` : `${column.correct}/${column.total}`,
    formatInterval(column, intervals[column.name]),
  ];
  const line = (name: string, { overall: guess }: BenchmarkReportV1) => [
    `chance: ${name}`,
    formatScore(guess),
    guess.correct === undefined ? `${guess.total}` : `${guess.correct}/${guess.total}`,
    '',
  ];
  const table = formatTable([
    [benchmark.title.toUpperCase(), '%', 'RIGHT', '95 %'],
    ...[...columns, overall, ...beside].map(row),
    ...(chance === null
      ? []
      : [
          line('a letter of A–D at random', chance.letters4),
          line('an option at random', chance.options),
          line('most frequent letter', chance.frequency),
        ]),
  ]);
  const unread = `${counts.unreadable} answers out of which nothing could be read`;
  if (accuracy === null) return `${table}${unread}\n`;
  const { pointsOverFrequency: points, binomialP, permutationP } = accuracy.significance;
  return `${table}${points >= 0 ? '+' : ''}${points.toFixed(1)} points over the most frequent letter, p = ${formatP(binomialP)} (binomial), ${formatP(permutationP)} (permutation); ${unread}\n`;
}

/** As the paper's tables round percentages; errors in their own unit, counts as they are. */
export function formatScore({ unit, value, correct, total }: ScoreColumnV1): string {
  if (unit === 'error') return value.toFixed(2);
  if (unit === 'count') return String(value);
  return correct === undefined ? (100 * value).toFixed(1) : tablePercentage(correct, total);
}

const formatInterval = (
  { unit }: ScoreColumnV1,
  interval: readonly [number, number] | undefined,
): string =>
  unit !== 'accuracy' || interval === undefined
    ? ''
    : interval.map((end) => (100 * end).toFixed(1)).join('–');

const formatP = (p: number): string => (p < 1e-4 ? p.toExponential(1) : p.toFixed(4));
