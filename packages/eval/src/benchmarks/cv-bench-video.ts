import {
  exactScore,
  findQuestions,
  folderOf,
  listedOptions,
  MediaFinder,
  questionsOf,
  readTable,
  type TableRow,
  textOf,
  textsOf,
} from '@spatialsv/core/benchmarks';
import type { BenchmarkQuestionV1, PromptPartV1 } from '@spatialsv/core/spec';
import { extractLetterOrWord } from '../extract/letter-or-word.js';
import { countRemark, defineBenchmark, letter } from './define-benchmark.js';

const FILES = ['CVBench.json', 'Video-R1/src/r1-v/Evaluation/CVBench.json'];
const VIDEOS = ['video_1', 'video_2', 'video_3', 'video_4'];
/** Frames of a video where nothing else is asked for; the official harness leaves the number to each model. */
const FRAMES = 8;

const PROMPTS = {
  letter: [
    'Select the best answer to the following multiple-choice based on the listed all videos. Respond with only the letter (A, B, C, or D) of the correct option.',
    "Answer with the option's letter (A, B, C, or D) from the given choices directly.",
  ],
  word: [
    'Select the best answer to the following yes-no question based on the listed all videos. Respond with only the word (Yes or No) of the correct option.',
    "Answer with the option's word (YES or NO) from the given choices directly.",
  ],
} as const;

/**
 * CVBench, questions across two to four videos. Source: Hokhim2/CVBench, lmms-eval/lmms_eval/tasks/mvr/utils.py@f8dc8f7.
 */
export const cvBenchVideo = defineBenchmark({
  id: 'cvbench-video',
  title: 'CVBench (cross-video)',
  variants: ['official'],
  async *questions(root, { onProblem, frames = FRAMES }) {
    const hint = 'Download CVBench.json and the videos of Dongyh35/CVBench.';
    const file = await findQuestions(root, FILES, hint);
    const media = await MediaFinder.open(
      await folderOf(root),
      { folders: ['.', 'videos'], archives: [] },
      onProblem,
    );
    yield* questionsOf(
      readTable(file, onProblem),
      (row) => question(row, media, frames),
      onProblem,
    );
  },
  extract: extractLetterOrWord,
  score: exactScore,
  remarks: (questions) =>
    countRemark('CVBench (cross-video)', { questions: questions.length }, { questions: 1000 }),
});

async function question(
  row: TableRow,
  media: MediaFinder,
  frames: number,
): Promise<BenchmarkQuestionV1> {
  const options = textsOf(row, 'options');
  const isYesNo = options.every((text) => /^(yes|no)$/i.test(text.replaceAll('.', '').trim()));
  const names = VIDEOS.map((column) => row.value[column]).filter(
    (name): name is string => typeof name === 'string' && name !== '',
  );
  const paths = await Promise.all(names.map((name) => media.file(name, row.place)));
  const [first, last] = isYesNo ? PROMPTS.word : PROMPTS.letter;
  const text = `${first}\n${textOf(row, 'question')}\n${options.join('\n')}\n${last}`;
  const answer = textOf(row, 'answer');
  return {
    id: textOf(row, 'id'),
    category: textOf(row, 'task_type'),
    scene: names.join(' '),
    ...(isYesNo ? {} : { options: listedOptions(options) }),
    right: isYesNo ? { kind: 'yes-no', value: answer } : letter(answer),
    parts: [
      ...paths.map((path): PromptPartV1 => ({ type: 'video', video: { path, frames } })),
      { type: 'text', text },
    ],
    maxNewTokens: 16,
  };
}
