/** From scored answers to the figures of a table. */
import type { BenchmarkReportV1, ScoreColumnV1, ScoredAnswerV1 } from '../spec.js';

/** A figure over a set of answers. */
export type Column = (name: string, answers: readonly ScoredAnswerV1[]) => ScoreColumnV1;

/** Share of the answers that are right. */
export const accuracyColumn: Column = (name, answers) => {
  const correct = answers.filter(({ score }) => score === 1).length;
  return {
    name,
    unit: 'accuracy',
    value: share(correct, answers.length),
    total: answers.length,
    correct,
  };
};

/** Mean score. */
export const scoreColumn: Column = (name, answers) => ({
  name,
  unit: 'score',
  value: share(
    answers.reduce((sum, { score }) => sum + score, 0),
    answers.length,
  ),
  total: answers.length,
});

const share = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);

/** Mean of columns, each with the same weight. */
export const meanOfColumns = (name: string, columns: readonly ScoreColumnV1[]): ScoreColumnV1 => ({
  name,
  unit: 'score',
  value: share(
    columns.reduce((sum, { value }) => sum + value, 0),
    columns.length,
  ),
  total: columns.reduce((sum, { total }) => sum + total, 0),
});

/** Answers by the value of a key, in the order of their first appearance. */
export function answersBy(
  answers: readonly ScoredAnswerV1[],
  key: (answer: ScoredAnswerV1) => string,
): ReadonlyMap<string, readonly ScoredAnswerV1[]> {
  const groups = new Map<string, ScoredAnswerV1[]>();
  for (const answer of answers) {
    const name = key(answer);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [answer]);
    else group.push(answer);
  }
  return groups;
}

/**
 * One figure per category: those of `order` that have answers first, then whatever else there is.
 * @param order names of the benchmark's table.
 */
export function categoryColumns(
  answers: readonly ScoredAnswerV1[],
  order: readonly string[] = [],
  column: Column = accuracyColumn,
): readonly ScoreColumnV1[] {
  const groups = answersBy(answers, ({ question }) => question.category);
  const names = [
    ...order.filter((name) => groups.has(name)),
    ...[...groups.keys()].filter((name) => !order.includes(name)),
  ];
  return names.map((name) => column(name, groups.get(name)!));
}

/** Every answer counts once (micro), with a column per category. */
export function microReport(
  answers: readonly ScoredAnswerV1[],
  order: readonly string[] = [],
  column: Column = accuracyColumn,
): BenchmarkReportV1 {
  return { overall: column('overall', answers), columns: categoryColumns(answers, order, column) };
}

/** Every category counts once (macro); the micro figure stands beside it. */
export function macroReport(
  answers: readonly ScoredAnswerV1[],
  order: readonly string[] = [],
  column: Column = accuracyColumn,
): BenchmarkReportV1 {
  const columns = categoryColumns(answers, order, column);
  return {
    overall: meanOfColumns('overall', columns),
    columns,
    beside: [column('overall (micro)', answers)],
  };
}

/**
 * Answers that only count together as one: the product of their scores, under the question of the first.
 * @param key of the group; the question's own where absent.
 */
export function groupedAnswers(
  answers: readonly ScoredAnswerV1[],
  key: (answer: ScoredAnswerV1) => string = ({ question }) => question.group ?? question.id,
): readonly ScoredAnswerV1[] {
  return [...answersBy(answers, key).values()].map((group) => ({
    ...group[0]!,
    score: group.reduce((product, { score }) => product * score, 1),
  }));
}
