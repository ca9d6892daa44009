import type { ScoredAnswerV1 } from '../spec.js';
import {
  accuracyColumn,
  groupedAnswers,
  macroReport,
  microReport,
  scoreColumn,
} from './combine.js';
import { columnOptions, isMissing, leadingLetter, listedOptions } from './options.js';
import { parsePythonLiteral } from './python-literal.js';
import { firstNumber, meanRelativeAccuracy, partialMatch } from './scores.js';

const answer = (category: string, score: number, group?: string): ScoredAnswerV1 => ({
  question: { id: `${category}${score}`, category, ...(group !== undefined && { group }) },
  extracted: null,
  score,
});

describe('options', () => {
  it('are read with and without letters', () => {
    const expected = [
      { letter: 'A', text: 'left' },
      { letter: 'B', text: 'U.S.A.' },
    ];
    expect(listedOptions(['A. left', 'B. U.S.A.'])).toEqual(expected);
    expect(listedOptions(['(A) left', '(B) U.S.A.'])).toEqual(expected);
    expect(listedOptions(['left', 'U.S.A.'])).toEqual(expected);
    expect(listedOptions(['A. left', 'U.S.A.'])[0]!.text).toBe('A. left');
  });

  it.each([
    ['A', 'A'],
    ['(B)', 'B'],
    ['C. left', 'C'],
    ['Above', undefined],
    ['', undefined],
  ])('begin with a letter or not: %j', (text, letter) => {
    expect(leadingLetter(text)).toBe(letter);
  });

  it('in columns end where cells are missing', () => {
    const row = { A: 'cat', B: 2, C: 'nan', D: '', E: null };
    expect(columnOptions(row)).toEqual([
      { letter: 'A', text: 'cat' },
      { letter: 'B', text: '2' },
    ]);
    expect([Number.NaN, ' N/A ', undefined, 'no', 0].map(isMissing)).toEqual([
      true,
      true,
      true,
      false,
      false,
    ]);
  });
});

describe('scores', () => {
  it.each([
    // Made by numpy, as the official function does it.
    [4, 4, 1],
    [4.4, 4, 0.9],
    [5, 4, 0.6],
    [6, 4, 0.1],
    [6.1, 4, 0],
    [2, 4, 0.1],
    [1.15, 1, 0.8],
    [0.7, 1, 0.5],
    [3, 2.5, 0.6],
    [10, 9, 0.8],
    [2.2, 2, 0.9],
    [undefined, 4, 0],
    [1, 0, 0],
  ])('mean relative accuracy of %p where %p is right: %p', (predicted, truth, expected) => {
    expect(meanRelativeAccuracy(predicted, truth)).toBeCloseTo(expected, 10);
  });

  it('partial match counts shared words of the longer text', () => {
    expect(partialMatch('upper left', 'Upper left')).toBe(1);
    expect(partialMatch('upper left', 'left')).toBe(0.5);
    expect(partialMatch('', '')).toBe(0);
  });

  it('the first number may have a sign', () => {
    expect([firstNumber('about -3.5 m'), firstNumber('-3.5', false), firstNumber('none')]).toEqual([
      -3.5,
      3.5,
      undefined,
    ]);
  });
});

describe('combination', () => {
  const answers = [answer('far', 1), answer('near', 1), answer('near', 0), answer('near', 0)];

  it('micro: every answer counts once, columns in the order of the table', () => {
    const report = microReport(answers, ['near', 'absent']);
    expect(report.overall).toEqual({
      name: 'overall',
      unit: 'accuracy',
      value: 0.5,
      total: 4,
      correct: 2,
    });
    expect(report.columns.map(({ name, correct, total }) => [name, correct, total])).toEqual([
      ['near', 1, 3],
      ['far', 1, 1],
    ]);
  });

  it('macro: every category counts once', () => {
    const report = macroReport(answers);
    expect(report.overall.value).toBeCloseTo((1 + 1 / 3) / 2, 12);
    expect(report.beside).toEqual([accuracyColumn('overall (micro)', answers)]);
  });

  it('groups count as one, right only where all are', () => {
    const rotations = [
      answer('x', 1, 'g'),
      answer('x', 0, 'g'),
      answer('x', 1, 'h'),
      answer('x', 1, 'h'),
    ];
    expect(groupedAnswers(rotations).map(({ score }) => score)).toEqual([0, 1]);
    expect(scoreColumn('x', [])).toMatchObject({ value: 0, total: 0 });
  });
});

describe('Python literals', () => {
  it.each([
    ["['a', \"b's\", 'it\\'s']", ['a', "b's", "it's"]],
    ['[1, -2.5, None, True, [ ] , (3,)]', [1, -2.5, null, true, [], [3]]],
    ["'x'", 'x'],
    ["['a'", undefined],
    ['__import__("os")', undefined],
    ['['.repeat(100), undefined],
    ["['a'] trailing", undefined],
  ])('%s', (text, expected) => {
    expect(parsePythonLiteral(text)).toEqual(expected);
  });
});
