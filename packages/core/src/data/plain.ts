import { resolve } from 'node:path';
import type { SampleV1 } from '../spec.js';
import {
  fieldError,
  optionalStringField,
  optionsField,
  stringField,
  stringListField,
} from './fields.js';
import { type JsonLine, readJsonLines } from './json-lines.js';

/**
 * Our own dataset format, one sample a line: `id`, `images` and, where labelled, `question`, `options`, `answer`,
 * `category`. `answer` is the target text; a bare option letter stands for `L. text`. `target` says what the model is
 * trained to say instead, for example with reasoning before the answer. A sample without `question` trains the 3D losses
 * only.
 * @throws SpatialError FILE_MISSING, DATA_INVALID (file and line).
 */
export async function* readPlain(path: string, imageRoot: string): AsyncGenerator<SampleV1> {
  for await (const row of readJsonLines(path)) yield plainSample(row, imageRoot);
}

function plainSample(row: JsonLine, imageRoot: string): SampleV1 {
  const category = optionalStringField(row, 'category');
  return {
    id: stringField(row, 'id'),
    images: stringListField(row, 'images').map((image) => resolve(imageRoot, image)),
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
