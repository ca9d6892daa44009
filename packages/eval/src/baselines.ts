import { createRandom } from '@spatialsv/core';
import { groupBy } from './group-by.js';

/** What a chance line needs to know of a question. */
export interface ChanceQuestion {
  readonly category: string;
  readonly gold: string;
  /** Letters on offer. */
  readonly letters: readonly string[];
}

export interface ChanceLines {
  readonly random: {
    readonly seed: number;
    /** Right answers of a uniform draw over A–D, whatever is offered (how the paper's line seems to be made). */
    readonly letters4: number;
    /** Right answers of a uniform draw over the letters on offer. */
    readonly options: number;
    /** Expected right answers when drawing over the letters on offer, Σ 1/#options. */
    readonly expected: number;
  };
  readonly frequency: {
    /** Right answers when always naming the most frequent right letter of the category. */
    readonly perCategory: number;
    readonly letterByCategory: Readonly<Record<string, string>>;
    /** Right answers when always naming the most frequent right letter of the whole set. */
    readonly global: number;
    readonly globalLetter: string;
  };
}

const PAPER_LETTERS = ['A', 'B', 'C', 'D'];

/** The chance lines of a question set, counted from the set itself. Ties go to the first letter of the alphabet. */
export function chanceLines(questions: readonly ChanceQuestion[], seed: number): ChanceLines {
  const groups = [...groupBy(questions, (question) => question.category)];
  const majorities = groups.map(([category, group]) => [category, majority(group)] as const);
  const overall = majority(questions);
  return {
    random: {
      seed,
      letters4: drawRight(questions, seed, () => PAPER_LETTERS),
      options: drawRight(questions, seed, (question) => question.letters),
      expected: questions.reduce((sum, question) => sum + 1 / question.letters.length, 0),
    },
    frequency: {
      perCategory: majorities.reduce((sum, [, { count }]) => sum + count, 0),
      letterByCategory: Object.fromEntries(majorities.map(([name, { letter }]) => [name, letter])),
      global: overall.count,
      globalLetter: overall.letter,
    },
  };
}

function drawRight(
  questions: readonly ChanceQuestion[],
  seed: number,
  letters: (question: ChanceQuestion) => readonly string[],
): number {
  const random = createRandom(seed);
  return questions.filter((question) => {
    return random.pick(letters(question)) === question.gold;
  }).length;
}

function majority(questions: readonly ChanceQuestion[]): { letter: string; count: number } {
  const groups = [...groupBy(questions, (question) => question.gold)]
    .map(([letter, group]) => ({ letter, count: group.length }))
    .sort((a, b) => b.count - a.count || (a.letter < b.letter ? -1 : 1));
  return groups[0] ?? { letter: '', count: 0 };
}
