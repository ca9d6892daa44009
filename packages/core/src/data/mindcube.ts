import { SpatialError } from '../errors.js';
import type { SampleV1 } from '../spec.js';
import { optionalStringField, stringField, stringListField } from './fields.js';
import type { JsonLine } from './json-lines.js';
import { defineJsonLinesFormat } from './json-lines-format.js';
import { splitInlineOptions } from './options.js';

export type MindCubeSetting = 'around' | 'rotation' | 'translation' | 'among' | 'other';

/** Order in which the settings are told apart, as the official evaluation does it (substring of the id). */
const SETTINGS = ['around', 'rotation', 'translation', 'among'] as const;

/** The official "raw QA" instruction block. A protocol literal: changing a byte changes the score. */
const INSTRUCTION = [
  '[Task]',
  'Your task is to analyze the spatial arrangement of objects in the scene by examining the provided images, which show the scene from different viewpoints.',
  '[Answer Instruction]',
  "You only need to provide *ONE* correct answer selecting from the options listed below. For example, if you think the correct answer is 'A. Above' from 'A. Above B. Under C. Front D. Behind', your response should **only** be '<answer>A. Above</answer>'.",
  '',
  '[Question]',
].join('\n');

/** The official plain prompt around a question. */
export function mindCubePrompt(question: string): string {
  return `${INSTRUCTION}\n${question}`;
}

/** Target string of the official fine-tuning data. */
function mindCubeTarget(letter: string, text: string): string {
  return `<answer>${letter}. ${text}</answer>`;
}

/** Setting of a row, from its id. */
export function mindCubeSetting(id: string): MindCubeSetting {
  const lower = id.toLowerCase();
  return SETTINGS.find((setting) => lower.includes(setting)) ?? 'other';
}

/** `official`: the instruction block of the benchmark around the question; `plain`: the question as it stands. */
const MINDCUBE_PROMPTS = ['official', 'plain'] as const;

/**
 * Official MindCube files (`id`, `images`, `question`, `gt_answer`). `question` of a sample is the full prompt, `answer` the
 * training target.
 */
export const mindCubeFormat = defineJsonLinesFormat({
  id: 'mindcube',
  prompts: MINDCUBE_PROMPTS,
  matches: (row) => 'id' in row && 'images' in row && 'gt_answer' in row,
  images: (row) => stringListField(row, 'images'),
  sample: mindCubeSample,
});

function mindCubeSample(
  row: JsonLine,
  images: readonly string[],
  prompt: string | undefined,
): SampleV1 {
  const id = stringField(row, 'id');
  const question = optionalStringField(row, 'question');
  if (question === undefined) return { id, images, category: mindCubeSetting(id) };
  const { options } = splitInlineOptions(question);
  const letter = stringField(row, 'gt_answer');
  const text = options[letter];
  if (text === undefined) throw answerError(row, letter, Object.keys(options));
  return {
    id,
    images,
    question: prompt === 'plain' ? question : mindCubePrompt(question),
    options,
    answer: mindCubeTarget(letter, text),
    answerLetter: letter,
    category: mindCubeSetting(id),
  };
}

function answerError(row: JsonLine, letter: string, letters: readonly string[]): SpatialError {
  return new SpatialError({
    code: 'DATA_INVALID',
    message: `${row.place}: gt_answer '${letter}' is not among the options found in the question (${letters.join(', ') || 'none'})`,
    hint: "Options stand at the end of the question as 'A. text B. text …'.",
  });
}
