/** Scores of single answers. */
import type { ScoredQuestionV1 } from '../spec.js';

/** 1 where what was read is the right answer, letter case aside; 0 otherwise. */
export const exactScore = (extracted: string | undefined, { right }: ScoredQuestionV1): number =>
  extracted !== undefined && extracted.toLowerCase() === right?.value.toLowerCase() ? 1 : 0;

/** 0.5, 0.55, …, 0.95 with the roundings of the official scripts (numpy's linspace). */
const CONFIDENCES = Array.from({ length: 10 }, (_, i) =>
  i === 9 ? 0.95 : 0.5 + i * ((0.95 - 0.5) / 9),
);

/**
 * Mean relative accuracy of a number: the share of θ ∈ {0.5, 0.55, …, 0.95} with |p − t| / t ≤ 1 − θ.
 * Source: VSI-Bench, arXiv:2412.14171, equation 1. @returns 0 for no number, and where t = 0, which the original leaves open.
 */
export function meanRelativeAccuracy(predicted: number | undefined, truth: number): number {
  if (predicted === undefined || !Number.isFinite(predicted) || truth === 0) return 0;
  const error = Math.abs(predicted - truth) / truth;
  return CONFIDENCES.filter((theta) => error <= 1 - theta).length / CONFIDENCES.length;
}

/**
 * Partial match of two texts: shared words over the words of the longer one, words being what white space separates, in
 * lower case, each once. Source: TopViewRS, arXiv:2406.02537.
 */
export function partialMatch(a: string, b: string): number {
  const [first, second] = [wordsOf(a), wordsOf(b)];
  const shared = [...first].filter((word) => second.has(word)).length;
  return shared / Math.max(1, first.size, second.size);
}

const wordsOf = (text: string): ReadonlySet<string> =>
  new Set(
    text
      .toLowerCase()
      .split(/\s+/)
      .filter((word) => word !== ''),
  );

/** The first number in a text, sign included where `signed`. */
export function firstNumber(text: string, signed = true): number | undefined {
  const found = (signed ? /-?\d+(?:\.\d+)?/ : /\d+(?:\.\d+)?/).exec(text)?.[0];
  return found === undefined ? undefined : Number(found);
}
