import { resolve } from 'node:path';
import type { SampleV1 } from '../spec.js';
import { fieldError, optionalStringField, optionsField, stringField } from './fields.js';
import { type JsonLine, readJsonLines } from './json-lines.js';

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
 * MMBench rows kept as JSON Lines (`index`, `question`, `options`, `answer`, `category`, `image` as a path relative to
 * the file). The training target is `B. text`.
 * @throws SpatialError FILE_MISSING, DATA_INVALID (file and line).
 */
export async function* readMmbench(path: string, imageRoot: string): AsyncGenerator<SampleV1> {
  for await (const row of readJsonLines(path)) yield mmbenchSample(row, imageRoot);
}

function mmbenchSample(row: JsonLine, imageRoot: string): SampleV1 {
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
    images: [resolve(imageRoot, stringField(row, 'image'))],
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
