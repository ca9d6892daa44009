import { createRandom } from '@spatialsv/core';
import type { BenchmarkReportV1 } from '@spatialsv/core/spec';
import type { Answer, Protocol } from './answers.js';
import { groupBy } from './group-by.js';

/** What guessing gives under the benchmark's own scores and combination. */
export interface ChanceReports {
  readonly seed: number;
  /** A draw over A–D for every question, whatever is offered: how the paper's line seems to be made. */
  readonly letters4: BenchmarkReportV1;
  /** A draw over the options of each question. */
  readonly options: BenchmarkReportV1;
  /** Always the most frequent right letter of the category. */
  readonly frequency: BenchmarkReportV1;
  /** Always the most frequent right letter of all. */
  readonly frequencyGlobal: BenchmarkReportV1;
}

const FOUR = ['A', 'B', 'C', 'D'];

/** Over the multiple-choice questions; undefined where there are none. */
export function chanceReports(
  protocol: Protocol,
  answers: readonly Answer[],
  seed: number,
): ChanceReports | undefined {
  const choice = answers.filter(
    ({ question: { right, options } }) => right?.kind === 'letter' && options !== undefined,
  );
  if (choice.length === 0) return undefined;
  const categories = groupBy(choice, ({ question: { category } }) => category);
  const majorities = new Map([...categories].map(([name, group]) => [name, majority(group)]));
  const overall = majority(choice);
  const drawn = (letters: (answer: Answer) => readonly string[]) => {
    const random = createRandom(seed);
    return guessed(protocol, choice, (answer) => random.pick(letters(answer)));
  };
  return {
    seed,
    letters4: drawn(() => FOUR),
    options: drawn(({ question: { options } }) => options!.map(({ letter }) => letter)),
    frequency: guessed(protocol, choice, ({ question: { category } }) => majorities.get(category)!),
    frequencyGlobal: guessed(protocol, choice, () => overall),
  };
}

function guessed(
  { benchmark, variant }: Protocol,
  answers: readonly Answer[],
  guess: (answer: Answer) => string,
): BenchmarkReportV1 {
  const rows = answers.map((answer) => {
    const extracted = guess(answer);
    return {
      question: answer.question,
      extracted,
      score: benchmark.score(extracted, answer.question, variant),
    };
  });
  return benchmark.combine(rows, variant);
}

/** The most frequent right letter; of equally frequent ones the first of the alphabet. */
function majority(answers: readonly Answer[]): string {
  const counts = [...groupBy(answers, ({ question: { right } }) => right!.value)];
  return counts.sort(
    ([a, first], [b, second]) => second.length - first.length || (a < b ? -1 : 1),
  )[0]![0];
}
