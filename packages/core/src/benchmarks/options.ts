/** Options of multiple-choice questions in the forms in which benchmarks keep them. */
import type { AnswerOptionV1 } from '../spec.js';

const letterAt = (index: number): string => String.fromCharCode(65 + index);

/** Options in order, each with the letter of its place. Where all texts begin with theirs, it is cut off. */
export function listedOptions(texts: readonly string[]): readonly AnswerOptionV1[] {
  const carryLetters = texts.every((text, index) => leadingLetter(text) === letterAt(index));
  return texts.map((text, index) => ({
    letter: letterAt(index),
    text: (carryLetters ? text.replace(/^\s*(?:\([A-Z]\)|[A-Z][.):])\s*/, '') : text).trim(),
  }));
}

/** `A` of `A`, `A.`, `(A)`, `A. left` and `(A) left`; undefined where the text begins with no letter. */
export const leadingLetter = (text: string): string | undefined =>
  /^\s*\(?([A-Z])(?:[.):]|\s*$)/.exec(text)?.[1];

/** What pandas reads as a missing cell, in which the public kit keeps options. */
const MISSING = new Set(
  [
    '',
    'nan',
    'na',
    'n/a',
    'null',
    'none',
    '#n/a',
    '#na',
    '<na>',
    '-nan',
    '1.#ind',
    '1.#qnan',
  ].concat(['-1.#ind', '-1.#qnan', '#n/a n/a']),
);

/** Whether a cell of a table has nothing in it. */
export const isMissing = (cell: unknown): boolean =>
  cell === null ||
  cell === undefined ||
  (typeof cell === 'number' && Number.isNaN(cell)) ||
  (typeof cell === 'string' && MISSING.has(cell.trim().toLowerCase()));

/** Options in the columns A, B, C, … of a table row, as far as there are any. */
export function columnOptions(
  row: Readonly<Record<string, unknown>>,
  letters = ['A', 'B', 'C', 'D', 'E', 'F'],
): readonly AnswerOptionV1[] {
  return letters
    .filter((letter) => !isMissing(row[letter]))
    .map((letter) => ({ letter, text: String(row[letter]) }));
}
