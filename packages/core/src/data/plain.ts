import type { SampleV1 } from '../spec.js';
import {
  fieldError,
  optionalStringField,
  optionsField,
  stringField,
  stringListField,
} from './fields.js';
import type { JsonLine } from './json-lines.js';
import { defineJsonLinesFormat } from './json-lines-format.js';

export const PLAIN_FORMAT_ID = 'jsonl';

/** Fields of other formats whose rows may have `id` and `images` as well. */
const OTHERS = ['gt_answer', 'conversations', 'conversation', 'messages', 'instruction', 'query'];

/**
 * Our own data set format, one sample a line: `id`, `images` and, where labelled, `question`, `options`, `answer`,
 * `category`. `answer` is the target text; a bare option letter stands for `L. text`. `target` says what the model is
 * trained to say instead, for example with reasoning before the answer. A sample without `question` trains the 3D losses
 * only.
 */
export const plainFormat = defineJsonLinesFormat({
  id: PLAIN_FORMAT_ID,
  matches: (row) => 'id' in row && 'images' in row && !OTHERS.some((field) => field in row),
  images: (row) => stringListField(row, 'images'),
  sample: plainSample,
});

function plainSample(row: JsonLine, images: readonly string[]): SampleV1 {
  const category = optionalStringField(row, 'category');
  return {
    id: stringField(row, 'id'),
    images,
    ...textFields(row),
    ...(category === undefined ? {} : { category }),
  };
}

function textFields(row: JsonLine): Partial<SampleV1> {
  const question = optionalStringField(row, 'question');
  if (question === undefined) return {};
  const answer = optionalStringField(row, 'answer');
  const target = optionalStringField(row, 'target');
  const spoken = target === undefined ? {} : { answer: target };
  if (row.value['options'] === undefined || row.value['options'] === null) {
    return { question, ...(answer !== undefined && { answer }), ...spoken };
  }
  const options = optionsField(row, 'options');
  if (answer === undefined) return { question, options, ...spoken };
  return { question, options, ...choice(row, options, answer), ...spoken };
}

function choice(row: JsonLine, options: Readonly<Record<string, string>>, answer: string) {
  const letter = /^([A-Z])(?:\.|$)/.exec(answer)?.[1];
  const text = letter === undefined ? undefined : options[letter];
  if (letter === undefined || text === undefined) {
    const letters = Object.keys(options).join(', ');
    throw fieldError(row, 'answer', `one of ${letters}, alone or followed by '. text'`, answer);
  }
  return { answer: answer === letter ? `${letter}. ${text}` : answer, answerLetter: letter };
}
