import { extractAnswerTag, lastAnswerTag } from './answer-tag.js';
import { extractChoiceLetter, extractLetterFirst, extractNumber } from './choice-letter.js';
import { extractFirstWord } from './first-word.js';
import { inferOption } from './inferred-option.js';
import { extractJsonAnswer } from './json-answer.js';
import { extractLastLineLetter } from './last-line-letter.js';
import { extractLetterOrWord } from './letter-or-word.js';

describe('VSI-Bench: the first word', () => {
  it.each([
    ['A', 'A'],
    ['A.', 'A'],
    ['B. front', 'B'],
    ['c', 'c'],
    ['The answer is A', 'The'],
    ['', undefined],
    [' A', undefined],
    ['(A)', '(A)'],
    ['A.\nleft', 'A.\nleft'],
    ['4.5', '4.5'],
  ])('%j says %j', (text, expected) => expect(extractFirstWord(text)).toBe(expected));
});

describe('the public kit: the option that can be inferred', () => {
  const options = [
    { letter: 'A', text: 'cat' },
    { letter: 'B', text: 'dog' },
  ];

  it.each([
    ['B', 'B'],
    ['(B)', 'B'],
    ['A cat sits next to the B dog', undefined],
    ['the dog', 'B'],
    ['B is what I would choose here', undefined],
    ['I pick A. cat', 'A'],
    ['b', undefined],
    ['Z', 'Z'],
    ["I'm sorry, but without the image provided I cannot say", 'Z'],
    [
      'After a long look at both of them I think that the correct answer is **A** and nothing else here',
      'A',
    ],
    ['a text that is far longer than both options together says dog', undefined],
  ])('%j says %j', (text, expected) => expect(inferOption(text, options)).toBe(expected));
});

describe('cross-video CVBench: the first letter or word', () => {
  it.each([
    ['B.', 'B'],
    ['The answer is C.', 'C'],
    ['Yes.', 'YES'],
    ['maybe yes', 'A'],
    ['It is not visible', 'NO'],
    ['', undefined],
  ])('%j says %j', (text, expected) => expect(extractLetterOrWord(text)).toBe(expected));
});

describe('ViewSpatial-Bench: a letter in the last line', () => {
  it.each([
    ['B. front', 'B'],
    ['A is wrong\nso C', 'C'],
    ['it is a chair', 'A'],
    ['front', undefined],
    ['(d)', 'D'],
  ])('%j says %j', (text, expected) => expect(extractLastLineLetter(text)).toBe(expected));
});

describe('Ego3D-Bench: the tagged answer', () => {
  it.each([
    ['<think>B</think><answer>A</answer>', 'a'],
    ['<answer>a</answer> <answer>\nB\n</answer>', 'b'],
    ['C', 'c'],
    ['<answer></answer>', undefined],
  ])('%j says %j', (text, expected) => expect(extractAnswerTag(text)).toBe(expected));

  it('in pairs', () => {
    expect(lastAnswerTag('<answer>A</answer> or <answer> B </answer> <answer>')).toBe('B');
    expect(lastAnswerTag('B')).toBeUndefined();
  });
});

describe('Spatial457: the answer in the template', () => {
  it.each([
    ["{'Reasoning': 'x', 'Answer': 'Yes'}", 'Yes'],
    ['{"Reasoning": "x", "Answer": "Small"}', 'Small'],
    ["{'Answer': 3}", '3'],
    ['Yes', 'Yes'],
  ])('%j says %j', (text, expected) => {
    expect(extractJsonAnswer(text)).toBe(expected);
  });
});

describe('CV-Bench and SPBench', () => {
  it.each([
    ['(B)', 'B'],
    [' ( c', 'C'],
    ['The second', 'T'],
    ['12', undefined],
  ])('the first letter of %j is %j', (text, expected) =>
    expect(extractChoiceLetter(text)).toBe(expected),
  );

  it.each([
    ['Answer: B', 'B'],
    ['B. left', 'B'],
    ['left', 'left'],
    ['Bad', 'Bad'],
    ['', undefined],
  ])('the choice of %j is %j', (text, expected) => expect(extractLetterFirst(text)).toBe(expected));

  it.each([
    ['about 1.4 meters', '1.4'],
    ['a distance of 3', '1'],
    ['Twelve', '12'],
    ['-2', '2'],
    ['none', undefined],
  ])('the number of %j is %j', (text, expected) => expect(extractNumber(text)).toBe(expected));
});
