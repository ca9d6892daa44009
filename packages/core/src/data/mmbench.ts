import { isJsonObject } from '../json.js';
import type { SampleV1 } from '../spec.js';
import { fieldError, stringField } from './fields.js';
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
 * MMBench rows kept as JSON Lines (`index`, `question`, `options` or a column for each, `answer`, `hint`, `category`, `image` as
 * a path relative to the image root). Cells that are empty, null or NaN are absent, as in the public evaluation kit. The training
 * target is `B. text`.
 */
export const mmbenchFormat = defineJsonLinesFormat({
  id: 'mmbench',
  matches: (row) => 'index' in row && 'image' in row,
  images: (row) => [stringField(row, 'image')],
  sample: mmbenchSample,
});

function mmbenchSample(row: JsonLine, images: readonly string[]): SampleV1 {
  const options = mmbenchOptions(row);
  const hint = presentText(row, 'hint');
  const category = presentText(row, 'category');
  const question = presentText(row, 'question');
  if (question === undefined) throw fieldError(row, 'question', 'a text', row.value['question']);
  return {
    id: `mmbench_${indexField(row)}`,
    images,
    question: multipleChoicePrompt({ question, options, hint }),
    ...(Object.keys(options).length > 0 && { options }),
    ...choice(row, options),
    ...(category === undefined ? {} : { category }),
  };
}

/** Rows of a test split have no answer. */
function choice(row: JsonLine, options: Readonly<Record<string, string>>): Partial<SampleV1> {
  const letter = presentText(row, 'answer');
  if (letter === undefined) return {};
  const text = options[letter];
  if (text !== undefined) return { answer: `${letter}. ${text}`, answerLetter: letter };
  throw fieldError(row, 'answer', `one of ${Object.keys(options).join(', ')}`, letter);
}

/** Options under `options`, or as columns of their own: those that are there. */
function mmbenchOptions(row: JsonLine): Readonly<Record<string, string>> {
  const given = row.value['options'];
  if (given !== undefined && given !== null && !isJsonObject(given))
    throw fieldError(row, 'options', 'an object such as {"A": "left", "B": "right"}', given);
  const columns = isJsonObject(given) ? given : row.value;
  const entries = LETTERS.flatMap((letter): [string, string][] => {
    const text = asText(row, isJsonObject(given) ? `options.${letter}` : letter, columns[letter]);
    return text === undefined ? [] : [[letter, text]];
  });
  return Object.fromEntries(entries);
}

const LETTERS = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ'];

const presentText = (row: JsonLine, name: string): string | undefined =>
  asText(row, name, row.value[name]);

/** The text of a cell: numbers as they are written, nothing for one that is empty, null or NaN. */
function asText(row: JsonLine, name: string, value: unknown): string | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return String(value);
  // As Python prints them.
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  throw fieldError(row, name, 'a text or a number', value);
}

function indexField(row: JsonLine): string {
  const index = row.value['index'];
  const isIndex = typeof index === 'number' ? Number.isInteger(index) : typeof index === 'string';
  if (isIndex && index !== '') return String(index);
  throw fieldError(row, 'index', 'an integer or a text', index);
}
