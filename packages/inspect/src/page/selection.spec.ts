import type { PageAnswer, PageQuestion } from '../report/format.js';
import { byCategory, disagreement, EVERYTHING, select } from './selection.js';

const answer = (read: string, score: number, depthRmse?: number): PageAnswer => ({
  ...{ text: `<answer>${read}</answer>`, read, score },
  ...(depthRmse !== undefined && { depthRmse }),
});

const question = (
  id: string,
  category: string,
  ...answers: readonly (PageAnswer | null)[]
): PageQuestion => ({ id, category, text: `Where is ${id}?`, options: [], expected: 'A', answers });

const questions = [
  question('q0', 'near', answer('A', 1, 0.1), answer('B', 0, 0.4)),
  question('q1', 'far', answer('B', 0, 0.3), answer('A', 1, 0.2)),
  question('q2', 'near', answer('B', 0, 0.2), answer('C', 0, 0.5)),
  question('q3', 'far', answer('A', 1), answer('A', 1)),
  question('q4', 'near', answer('A', 1), null),
];
const chosen = (change: Partial<typeof EVERYTHING>) =>
  select(questions, { ...EVERYTHING, ...change }).map((place) => questions[place]!.id);

describe('questions of a report', () => {
  it.each([
    ['all', ['q0', 'q1', 'q2', 'q3', 'q4']],
    ['wrong', ['q0', 'q1', 'q2']],
    ['right', ['q3']],
    ['disagree', ['q0', 'q1', 'q2']],
    ['first', ['q0']],
    ['second', ['q1']],
  ] as const)('are shown by result: %s', (result, ids) => {
    expect(chosen({ result })).toEqual(ids);
  });

  it('are shown by category and by words, in any case', () => {
    expect(chosen({ category: 'far' })).toEqual(['q1', 'q3']);
    expect(chosen({ words: 'WHERE q2' })).toEqual(['q2']);
    expect(chosen({ words: '<answer>c' })).toEqual(['q2']);
    expect(chosen({ words: 'nowhere' })).toEqual([]);
  });

  it.each([
    ['error', ['q1', 'q2', 'q0', 'q3', 'q4']],
    ['error-second', ['q2', 'q0', 'q1', 'q3', 'q4']],
    ['category', ['q1', 'q3', 'q0', 'q2', 'q4']],
    ['disagreement', ['q0', 'q1', 'q2', 'q3', 'q4']],
  ] as const)('are sorted by %s, then as they were asked', (order, ids) => {
    expect(chosen({ order })).toEqual(ids);
  });

  it('differ a little where two wrong answers do, and not where one was not asked', () => {
    expect(questions.map(disagreement)).toEqual([1, 1, 0.01, 0, 0]);
  });

  it('have a mean score by category and over all', () => {
    expect(byCategory(questions, 2)).toEqual([
      { category: 'near', total: 3, scores: [2 / 3, 0] },
      { category: 'far', total: 2, scores: [0.5, 1] },
      { category: 'overall', total: 5, scores: [0.6, 0.5] },
    ]);
  });
});
