import { join } from 'node:path';
import { readLines, SpatialError, writeFileAtomic } from '@spatialsv/core';
import type { BenchmarkQuestionV1, PromptPartV1 } from '@spatialsv/core/spec';
import { z } from 'zod';
import type { QuestionKeys } from './question-keys.js';

/** Name of what was asked, in a run folder. Scores do not depend on it: it is there to be read. */
export const QUESTIONS_FILE = 'questions.jsonl';

const recordedSchema = z.object({
  index: z.number().int().min(0),
  key: z.string(),
  views: z.string().optional(),
  text: z.string(),
  images: z.array(z.string()),
});

/** A line of `questions.jsonl`: what the model read, without the pixels. */
export interface RecordedQuestion extends QuestionKeys {
  /** Place of the question in its benchmark, from 0. */
  readonly index: number;
  /** The texts of the question, one after the other. */
  readonly text: string;
  /** Names of its images and videos. */
  readonly images: readonly string[];
}

/** Writes what is asked, beside the answers. */
export async function writeQuestions(
  folder: string,
  asked: readonly (QuestionKeys & {
    readonly index: number;
    readonly question: BenchmarkQuestionV1;
  })[],
): Promise<void> {
  const lines = asked.map(({ index, key, views, question: { parts } }): RecordedQuestion => {
    const text = parts.map((part) => (part.type === 'text' ? part.text : '')).join('');
    const images = parts.flatMap(imageName);
    return { index, key, ...(views !== undefined && { views }), text, images };
  });
  await writeRecordedQuestions(folder, lines);
}

const imageName = (part: PromptPartV1): readonly string[] => {
  if (part.type === 'text') return [];
  return [part.type === 'video' ? part.video.path : part.image.name];
};

/** Writes lines of `questions.jsonl` into a run folder. */
export const writeRecordedQuestions = (
  folder: string,
  questions: readonly RecordedQuestion[],
): Promise<void> =>
  writeFileAtomic(
    join(folder, QUESTIONS_FILE),
    questions.map((question) => `${JSON.stringify(question)}\n`).join(''),
  );

/**
 * What was asked in a run; empty for a run of a version that did not write it down.
 * @throws SpatialError FILE_INVALID naming the line.
 */
export async function readQuestions(folder: string): Promise<readonly RecordedQuestion[]> {
  const file = join(folder, QUESTIONS_FILE);
  return (await readLines(file)).map((line, i) => {
    try {
      return recordedSchema.parse(JSON.parse(line)) as RecordedQuestion;
    } catch (cause) {
      throw new SpatialError({
        code: 'FILE_INVALID',
        message: `${file}:${i + 1}: expected a question with index, key, text and images`,
        hint: 'The same `spatialsv eval` command writes the file again; answers that are there stay.',
        cause,
      });
    }
  });
}
