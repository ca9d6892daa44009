/** What is counted of an evaluation, from its answers alone. */
import type { BenchmarkReportV1, ScoreColumnV1 } from '@spatialsv/core/spec';
import type { Answer, Protocol } from './answers.js';
import { type ChanceReports, chanceReports } from './chance-reports.js';
import { type AccuracyReport, accuracyReport } from './report.js';
import { clusteredStandardError } from './statistics/clustered.js';
import { wilsonInterval } from './statistics/intervals.js';

export interface EvaluationResults {
  readonly benchmark: string;
  readonly variant: string;
  readonly seed: number;
  readonly overall: ScoreColumnV1;
  readonly columns: readonly ScoreColumnV1[];
  readonly beside: readonly ScoreColumnV1[];
  /** Wilson intervals, 95 %, of the accuracies, by name of the column. */
  readonly intervals: Readonly<Record<string, readonly [number, number]>>;
  /** Standard error of the mean score, questions about one scene depending on each other; null where scenes are unknown. */
  readonly clusteredError: number | null;
  readonly counts: {
    readonly questions: number;
    /** Answers out of which nothing could be read: they score 0. */
    readonly unreadable: number;
    /** Questions whose right answer is not known: they count nowhere. */
    readonly unscored: number;
  };
  /** Guessing, over the multiple-choice questions; null without any. */
  readonly chance: ChanceReports | null;
  /** Tests of the letters against chance; null without multiple-choice questions. */
  readonly accuracy: AccuracyReport | null;
}

/** Statistics that take long, of the same answers and seed. */
export interface KnownStatistics {
  readonly permutationP?: number;
}

/** @param known what need not be computed again. */
export function evaluationResults(
  protocol: Protocol,
  answers: readonly Answer[],
  seed: number,
  known: KnownStatistics = {},
): EvaluationResults {
  const { benchmark, variant } = protocol;
  const scored = answers.filter(({ question: { right } }) => right !== undefined);
  const { overall, columns, beside = [] } = benchmark.combine(scored, variant);
  return {
    benchmark: benchmark.id,
    variant,
    seed,
    overall,
    columns,
    beside,
    intervals: intervalsOf({ overall, columns, beside }),
    clusteredError: clusteredError(scored),
    counts: {
      questions: answers.length,
      unreadable: answers.filter(({ extracted }) => extracted === null).length,
      unscored: answers.length - scored.length,
    },
    chance: chanceReports(protocol, scored, seed) ?? null,
    accuracy: letterReport(scored, seed, known),
  };
}

function intervalsOf({ overall, columns, beside = [] }: BenchmarkReportV1) {
  const accuracies = [overall, ...columns, ...beside].filter(({ unit }) => unit === 'accuracy');
  return Object.fromEntries(
    accuracies.map(({ name, correct = 0, total }) => [name, wilsonInterval(correct, total)]),
  );
}

function clusteredError(answers: readonly Answer[]): number | null {
  const values = answers.flatMap(({ score, question: { scene } }) =>
    scene === undefined ? [] : [{ value: score, cluster: scene }],
  );
  const error = values.length < answers.length ? Number.NaN : clusteredStandardError(values);
  return Number.isFinite(error) ? error : null;
}

function letterReport(
  answers: readonly Answer[],
  seed: number,
  known: KnownStatistics,
): AccuracyReport | null {
  const predictions = answers.flatMap((answer) => predictionOf(answer) ?? []);
  return predictions.length === 0 ? null : accuracyReport(predictions, seed, known);
}

/** A multiple-choice answer as its letter; undefined for another kind of question. */
export function predictionOf({ question, extracted, score, raw }: Answer) {
  const { id, category, right, options } = question;
  if (right?.kind !== 'letter' || options === undefined) return undefined;
  const letters = options.map(({ letter }) => letter);
  return {
    id,
    category,
    gold: right.value,
    letters,
    raw,
    extracted: score === 1 ? right.value : extracted,
  };
}
