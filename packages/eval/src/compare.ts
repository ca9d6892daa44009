import { SpatialError } from '@spatialsv/core';
import type { Answer } from './answers.js';
import { groupBy } from './group-by.js';
import { bootstrapMean } from './statistics/bootstrap.js';
import { type McNemarResult, mcNemar } from './statistics/mcnemar.js';

/** Answers of one run, under a name. */
export interface ComparedRun {
  readonly name: string;
  readonly answers: readonly Answer[];
}

/** A run beside the first one. */
export interface Comparison {
  readonly name: string;
  /** Questions that both were asked, alike in text, options and images. */
  readonly questions: number;
  /** Mean scores. */
  readonly first: number;
  readonly second: number;
  /** second − first, with its bootstrap interval, 95 %, whole scenes drawn at a time. */
  readonly difference: number;
  readonly interval: readonly [number, number];
  /** Exact test on what is right (score 1) in one of both only. */
  readonly mcNemar: McNemarResult;
}

/**
 * Every further run beside the first one, question by question.
 * @throws SpatialError USAGE for runs that were not asked the same questions.
 */
export function compareRuns(runs: readonly ComparedRun[], seed: number): readonly Comparison[] {
  const [first, ...others] = runs as [ComparedRun, ...ComparedRun[]];
  return others.map((other) => compare(first, other, seed));
}

function compare(first: ComparedRun, second: ComparedRun, seed: number): Comparison {
  const pairs = paired(first, second);
  const differences = pairs.map(([a, b]) => ({
    value: b.score - a.score,
    scene: a.question.scene ?? a.key,
  }));
  const clusters = [...groupBy(differences, ({ scene }) => scene).values()].map((group) =>
    group.map(({ value }) => value),
  );
  const mean = (side: 0 | 1) =>
    pairs.reduce((sum, pair) => sum + pair[side].score, 0) / pairs.length;
  const right = (side: 0 | 1) => pairs.map((pair) => pair[side].score === 1);
  return {
    name: second.name,
    questions: pairs.length,
    first: mean(0),
    second: mean(1),
    difference: mean(1) - mean(0),
    interval: bootstrapMean(clusters, { seed }),
    mcNemar: mcNemar(right(0), right(1)),
  };
}

function paired(first: ComparedRun, second: ComparedRun): readonly (readonly [Answer, Answer])[] {
  const byKey = new Map(second.answers.map((answer) => [answer.key, answer]));
  const pairs = first.answers.flatMap((answer): (readonly [Answer, Answer])[] => {
    const other = byKey.get(answer.key);
    return other === undefined ? [] : [[answer, other]];
  });
  if (pairs.length === first.answers.length && pairs.length === second.answers.length) return pairs;
  throw new SpatialError({
    code: 'USAGE',
    message: `${second.name}: ${second.answers.length} questions, ${first.answers.length} in ${first.name}, of which ${pairs.length} are the same`,
    hint: 'Compare runs over the same benchmark, variant and files.',
  });
}
