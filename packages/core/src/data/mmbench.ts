import type { SampleV1 } from '../spec.js';
import { fieldError, optionalStringField, optionsField, stringField } from './fields.js';
import type { JsonLine } from './json-lines.js';
import { defineJsonLinesFormat } from './json-lines-format.js';

/** Parts of a multiple-choice prompt. */
export interface MultipleChoice {
  readonly question: string;
  readonly options: Readonly<Record<string, string>>;
  readonly hint?: string | undefined;
}

/** Prompt P1 of the public evaluation kit for multiple-choice image questions, byte for byte. */
export function multipleChoicePrompt({ question, options, hint }: MultipleChoice): string {
  const lines = Object.entries(options).map(([letter, text]) => `${letter}. ${text}\n`);
  const head = hint === undefined ? '' : `Hint: ${hint}\n`;
  const body = `${head}Question: ${question}\n`;
  if (lines.length === 0) return body;
  return `${body}Options:\n${lines.join('')}Please select the correct answer from the options above. \n`;
}

/**
 * MMBench rows kept as JSON Lines (`index`, `question`, `options`, `answer`, `category`, `image` as a path relative to the
 * image root). The training target is `B. text`.
 */
export const mmbenchFormat = defineJsonLinesFormat({
  id: 'mmbench',
  matches: (row) => 'index' in row && 'image' in row,
  images: (row) => [stringField(row, 'image')],
  sample: mmbenchSample,
});

function mmbenchSample(row: JsonLine, images: readonly string[]): SampleV1 {
  const options = optionsField(row, 'options');
  const letter = stringField(row, 'answer');
  const text = options[letter];
  if (text === undefined) {
    throw fieldError(row, 'answer', `one of ${Object.keys(options).join(', ')}`, letter);
  }
  const hint = optionalStringField(row, 'hint');
  const category = optionalStringField(row, 'category');
  return {
    id: `mmbench_${indexField(row)}`,
    images,
    question: multipleChoicePrompt({ question: stringField(row, 'question'), options, hint }),
    options,
    answer: `${letter}. ${text}`,
    answerLetter: letter,
    ...(category === undefined ? {} : { category }),
  };
}

function indexField(row: JsonLine): number {
  const index = row.value['index'];
  if (typeof index === 'number' && Number.isInteger(index)) return index;
  throw fieldError(row, 'index', 'an integer', index);
}
