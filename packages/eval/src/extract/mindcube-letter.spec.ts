import { extractMindCubeLetter } from './mindcube-letter.js';

/** Vectors run against the official code. */
const CASES: readonly (readonly [string, string | undefined])[] = [
  ['<answer>A. Above</answer>', 'A'],
  ['A. x … so B. y', 'B'],
  ['My answer is C', 'C'],
  ['<answer>B</answer>', 'B'],
  ['none', undefined],
  ['The U.S.A. flag', 'A'],
  ['', undefined],
  ['B', 'B'],
  ['<Answer>the answer is D</Answer> C ', 'D'],
  ['it is "E"', 'E'],
  ['Answer:D!', 'D'],
  ['first (A)\nthen (C), ok', 'C'],
];

describe('extractMindCubeLetter', () => {
  it.each(CASES)('%j → %s', (text, letter) => {
    expect(extractMindCubeLetter(text)).toBe(letter);
  });
});
