import type { PageAnswer, PageQuestion } from '../report/format.js';

export const RESULTS = ['all', 'wrong', 'right', 'disagree', 'first', 'second'] as const;
export type ResultFilter = (typeof RESULTS)[number];

export const ORDERS = ['asked', 'error', 'error-second', 'category', 'disagreement'] as const;
export type Order = (typeof ORDERS)[number];

/** Which questions are shown, and in which order. */
export interface Selection {
  readonly result: ResultFilter;
  /** Empty for all. */
  readonly category: string;
  /** Words that have to occur in the question, its options or its answers. */
  readonly words: string;
  readonly order: Order;
}

export const EVERYTHING: Selection = { result: 'all', category: '', words: '', order: 'asked' };

export type Verdict = 'right' | 'partly' | 'wrong' | 'unknown';

export function verdictOf(answer: PageAnswer | null | undefined): Verdict {
  if (answer?.score === undefined) return 'unknown';
  if (answer.score >= 1) return 'right';
  return answer.score > 0 ? 'partly' : 'wrong';
}

const isRight = (answer: PageAnswer | null | undefined): boolean => verdictOf(answer) === 'right';
const isWrong = (answer: PageAnswer | null | undefined): boolean =>
  ['wrong', 'partly'].includes(verdictOf(answer));

const PASSES: Readonly<Record<ResultFilter, (question: PageQuestion) => boolean>> = {
  all: () => true,
  wrong: ({ answers }) => answers.some(isWrong),
  right: ({ answers }) => answers.length > 0 && answers.every(isRight),
  disagree: (question) => disagreement(question) > 0,
  first: ({ answers: [first, second] }) => isRight(first) && isWrong(second),
  second: ({ answers: [first, second] }) => isWrong(first) && isRight(second),
};

/** How far the scores of two runs are apart; where they are equal, whether the answers differ counts a little. */
export function disagreement({ answers: [first, second] }: PageQuestion): number {
  if (!first || !second) return 0;
  const scores = Math.abs((first.score ?? 0) - (second.score ?? 0));
  const differ = (first.read ?? first.text) !== (second.read ?? second.text);
  return scores > 0 ? scores : differ ? 0.01 : 0;
}

/** Places of the questions that are shown, in their order. Ties keep the order in which they were asked. */
export function select(questions: readonly PageQuestion[], selection: Selection): number[] {
  const { result, category, words, order } = selection;
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = questions.flatMap((question, place) => {
    const isShown =
      PASSES[result](question) &&
      (category === '' || question.category === category) &&
      hasWords(question, wanted);
    return isShown ? [place] : [];
  });
  const compare = comparison(questions, order);
  return compare === undefined ? shown : shown.sort((a, b) => compare(a, b) || a - b);
}

function hasWords(question: PageQuestion, wanted: readonly string[]): boolean {
  if (wanted.length === 0) return true;
  const { id, text, options, answers } = question;
  const texts = [id, text, ...options.map((o) => o.text), ...answers.map((a) => a?.text ?? '')];
  const all = texts.join('\n').toLowerCase();
  return wanted.every((word) => all.includes(word));
}

type Compare = (a: number, b: number) => number;

function comparison(questions: readonly PageQuestion[], order: Order): Compare | undefined {
  if (order === 'asked') return undefined;
  if (order === 'category')
    return (a, b) => questions[a]!.category.localeCompare(questions[b]!.category);
  const value = (place: number): number => {
    const question = questions[place]!;
    if (order === 'disagreement') return disagreement(question);
    return question.answers[order === 'error' ? 0 : 1]?.depthRmse ?? -1;
  };
  return (a, b) => value(b) - value(a);
}

export interface CategoryRow {
  readonly category: string;
  readonly total: number;
  /** Mean score by run; undefined where nothing was scored. */
  readonly scores: readonly (number | undefined)[];
}

/** Mean scores by category, then over all. */
export function byCategory(questions: readonly PageQuestion[], runs: number): CategoryRow[] {
  const groups = new Map<string, PageQuestion[]>();
  for (const question of questions)
    groups.set(question.category, [...(groups.get(question.category) ?? []), question]);
  const row = (category: string, members: readonly PageQuestion[]): CategoryRow => ({
    category,
    total: members.length,
    scores: Array.from({ length: runs }, (_, run) => meanScore(members, run)),
  });
  const rows = [...groups].map(([category, members]) => row(category, members));
  return groups.size === 1 ? rows : [...rows, row('overall', questions)];
}

function meanScore(questions: readonly PageQuestion[], run: number): number | undefined {
  const scores = questions.flatMap(({ answers }) => answers[run]?.score ?? []);
  return scores.length === 0
    ? undefined
    : scores.reduce((sum, score) => sum + score, 0) / scores.length;
}
