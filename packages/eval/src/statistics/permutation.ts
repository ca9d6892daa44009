import { createRandom } from '@spatialsv/core';
import { groupBy } from '../group-by.js';

export interface GradedAnswer {
  readonly category: string;
  readonly gold: string;
  readonly predicted: string | undefined;
}

/**
 * Permutation test of "the predicted letters say nothing about the right ones": right letters are shuffled among the
 * questions of each category, so that answering one favourite letter gains nothing.
 * @returns (1 + shuffles with at least as many right answers) / (1 + shuffles).
 */
export function permutationTest(
  answers: readonly GradedAnswer[],
  options: { readonly seed: number; readonly shuffles?: number },
): number {
  const random = createRandom(options.seed);
  const shuffles = options.shuffles ?? 10_000;
  const groups = [...groupBy(answers, (answer) => answer.category).values()].map((group) => ({
    gold: group.map((answer) => answer.gold),
    predicted: group.map((answer) => answer.predicted),
  }));
  const observed = countRight(groups);
  let reached = 0;
  for (let draw = 0; draw < shuffles; draw++) {
    const shuffled = groups.map(({ gold, predicted }) => ({
      gold: random.shuffle(gold),
      predicted,
    }));
    if (countRight(shuffled) >= observed) reached += 1;
  }
  return (1 + reached) / (1 + shuffles);
}

interface Group {
  readonly gold: readonly string[];
  readonly predicted: readonly (string | undefined)[];
}

function countRight(groups: readonly Group[]): number {
  let right = 0;
  for (const { gold, predicted } of groups) {
    for (let index = 0; index < gold.length; index++) {
      if (gold[index] === predicted[index]) right += 1;
    }
  }
  return right;
}
