import { midRanks } from '../statistics/correlation.js';
import { wilsonInterval } from '../statistics/intervals.js';
import { cochranArmitage, type TrendTest } from '../statistics/trend.js';

/** An answer with the quality of the lift of its views; larger is better. */
export interface RatedAnswer {
  readonly right: boolean;
  readonly quality: number;
}

/** Answers of similar quality. */
export interface QualityBin {
  /** From 1, the worst quality. */
  readonly bin: number;
  readonly questions: number;
  readonly right: number;
  /** Share of right answers; null without any question. */
  readonly accuracy: number | null;
  /** Wilson, 95 %. */
  readonly interval: readonly [number, number];
  /** Smallest and largest quality in it; null without any question. */
  readonly quality: readonly [number, number] | null;
}

export interface BinReport {
  readonly bins: readonly QualityBin[];
  /** Cochran–Armitage over the bins; null where it says nothing. */
  readonly trend: TrendTest | null;
}

/**
 * Parts answers into bins of equally many, from the worst quality to the best, and tests for a trend of accuracy over them.
 * Equal qualities stay together: an answer goes where the middle of its ties falls, so bins may differ in size.
 */
export function binAnswers(answers: readonly RatedAnswer[], count: number): BinReport {
  const ranks = midRanks(answers.map(({ quality }) => quality));
  const groups = Array.from({ length: count }, (): RatedAnswer[] => []);
  for (const [i, answer] of answers.entries()) {
    const bin = Math.floor(((ranks[i]! - 0.5) / answers.length) * count);
    groups[Math.min(count - 1, bin)]!.push(answer);
  }
  const bins = groups.map((group, i) => binOf(group, i + 1));
  const trend = cochranArmitage(
    bins.map(({ right, questions }) => ({ successes: right, trials: questions })),
  );
  return { bins, trend: Number.isNaN(trend.z) ? null : trend };
}

function binOf(group: readonly RatedAnswer[], bin: number): QualityBin {
  const right = group.filter((answer) => answer.right).length;
  const qualities = group.map(({ quality }) => quality);
  return {
    bin,
    questions: group.length,
    right,
    accuracy: group.length === 0 ? null : right / group.length,
    interval: wilsonInterval(right, group.length),
    quality: group.length === 0 ? null : [Math.min(...qualities), Math.max(...qualities)],
  };
}
