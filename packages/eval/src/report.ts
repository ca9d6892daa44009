import { type ChanceLines, chanceLines } from './baselines.js';
import { groupBy } from './group-by.js';
import { binomialTail } from './statistics/binomial.js';
import { wilsonInterval } from './statistics/intervals.js';
import { permutationTest } from './statistics/permutation.js';

/** One multiple-choice question with its answer. */
export interface Prediction {
  readonly id: string;
  readonly category: string;
  /** Right letter. */
  readonly gold: string;
  /** Letters on offer. */
  readonly letters: readonly string[];
  /** What the model said. */
  readonly raw: string;
  /** Letter read from it, or null when none could be read (counted as wrong). */
  readonly extracted: string | null;
}

export interface Accuracy {
  readonly correct: number;
  readonly total: number;
  /** In [0, 1]. */
  readonly accuracy: number;
  /** Wilson interval, 95 %. */
  readonly interval: readonly [number, number];
}

/** Counts of an answer sheet beside its chance lines. */
export interface AccuracyReport {
  readonly overall: Accuracy;
  readonly byCategory: Readonly<Record<string, Accuracy>>;
  /** Answers without a readable letter. */
  readonly unreadable: number;
  readonly chance: ChanceLines;
  /** Tests against the frequency line (most frequent letter of each category). */
  readonly significance: {
    /** Accuracy minus the frequency line, in percentage points. */
    readonly pointsOverFrequency: number;
    /** P(at least as many right) for a guesser at the frequency line's rate; exact, one-sided. */
    readonly binomialP: number;
    /** Right letters shuffled within categories; one-sided. */
    readonly permutationP: number;
  };
}

/**
 * Accuracy, micro-averaged, with its proof. Every prediction counts once.
 * @param known what need not be computed again.
 */
export function accuracyReport(
  predictions: readonly Prediction[],
  seed: number,
  known: { readonly permutationP?: number } = {},
): AccuracyReport {
  const overall = accuracy(predictions);
  const chance = chanceLines(predictions, seed);
  const rate = chance.frequency.perCategory / Math.max(1, overall.total);
  return {
    overall,
    byCategory: Object.fromEntries(
      [...groupBy(predictions, (row) => row.category)].map(([name, rows]) => [
        name,
        accuracy(rows),
      ]),
    ),
    unreadable: predictions.filter((row) => row.extracted === null).length,
    chance,
    significance: {
      pointsOverFrequency: 100 * (overall.accuracy - rate),
      binomialP: binomialTail(overall.correct, overall.total, rate),
      permutationP:
        known.permutationP ??
        permutationTest(
          predictions.map((row) => ({ ...row, predicted: row.extracted ?? undefined })),
          { seed },
        ),
    },
  };
}

function accuracy(rows: readonly Prediction[]): Accuracy {
  const correct = rows.filter((row) => row.extracted === row.gold).length;
  return {
    correct,
    total: rows.length,
    accuracy: rows.length === 0 ? 0 : correct / rows.length,
    interval: wilsonInterval(correct, rows.length),
  };
}
