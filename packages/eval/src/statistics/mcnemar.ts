import { binomialTail } from './binomial.js';

export interface McNemarResult {
  /** Right only before. */
  readonly lost: number;
  /** Right only after. */
  readonly gained: number;
  /** Exact two-sided p-value. */
  readonly pValue: number;
}

/**
 * Exact McNemar test of two answer sheets over the same questions.
 * @param before whether each question was right before; @param after the same, in the same order.
 */
export function mcNemar(before: readonly boolean[], after: readonly boolean[]): McNemarResult {
  let lost = 0;
  let gained = 0;
  before.forEach((right, index) => {
    if (right && !after[index]) lost += 1;
    if (!right && after[index]) gained += 1;
  });
  const changed = lost + gained;
  const pValue = Math.min(1, 2 * binomialTail(Math.max(lost, gained), changed, 0.5));
  return { lost, gained, pValue };
}
