import path from 'node:path';
import {
  findQuestions,
  folderOf,
  invalidRow,
  MediaFinder,
  microReport,
  mindCubePrompt,
  mindCubeSetting,
  type ProblemListener,
  questionsOf,
  readTable,
  splitInlineOptions,
  type TableRow,
  textOf,
  textsOf,
} from '@spatialsv/core/benchmarks';
import type {
  BenchmarkQuestionV1,
  BenchmarkReportV1,
  ScoredAnswerV1,
  ScoredQuestionV1,
} from '@spatialsv/core/spec';
import { extractMindCubeLetter } from '../extract/mindcube-letter.js';
import { defineBenchmark, imagesThenText, letter, optionLines } from './define-benchmark.js';

const FILES = [
  'MindCube_tinybench.jsonl',
  'raw/MindCube_tinybench.jsonl',
  'data/raw/MindCube_tinybench.jsonl',
];
const SETTINGS = ['rotation', 'among', 'around'] as const;
/** Official limit of the scripts' plain answers. */
const MOST_TOKENS = 1536;

/**
 * MindCube-Tiny: multiple choice over 2–4 views. `official`: the instruction block of the benchmark around the question;
 * `plain`: the question as it stands. Source: mll-lab-nu/MindCube@6d8fd9a.
 */
export const mindCube = defineBenchmark({
  id: 'mindcube',
  title: 'MindCube-Tiny',
  variants: ['official', 'plain'],
  async *questions(root, { variant, onProblem }) {
    const hint =
      'Unpack data.zip of the MindCube data set and name its `data` folder, or name a question file.';
    const file = await findQuestions(root, FILES, hint);
    const media = await openMedia(root, file, onProblem);
    const make = (row: TableRow) => question(row, media, variant);
    yield* questionsOf(readTable(file, onProblem), make, onProblem);
  },
  extract: extractMindCubeLetter,
  combine,
  remarks: revisionRemarks,
});

/** Paths are relative to the data folder, which lies two folders above the questions. */
async function openMedia(
  root: string,
  file: string,
  onProblem: ProblemListener,
): Promise<MediaFinder> {
  const above = [0, 1, 2, 3].map((levels) =>
    path.resolve(path.dirname(file), ...Array<string>(levels).fill('..')),
  );
  return MediaFinder.open(await folderOf(root), { folders: ['.', 'data', ...above] }, onProblem);
}

async function question(
  row: TableRow,
  media: MediaFinder,
  variant: string,
): Promise<BenchmarkQuestionV1> {
  const id = textOf(row, 'id');
  const text = textOf(row, 'question');
  const right = textOf(row, 'gt_answer');
  const options = Object.entries(splitInlineOptions(text).options).map(([name, option]) => ({
    letter: name,
    text: option,
  }));
  if (!options.some((option) => option.letter === right)) {
    const problem = `gt_answer '${right}' is none of the options found in the question (${optionLines(options) || 'none'})`;
    throw invalidRow(
      row.place,
      problem,
      "Options stand at the end of the question as 'A. text B. text …'.",
    );
  }
  const paths = textsOf(row, 'images');
  const images = await Promise.all(paths.map((name) => media.image(name, row.place)));
  return {
    id,
    category: mindCubeSetting(id),
    scene: path.posix.dirname(paths[0] ?? ''),
    options,
    right: letter(right),
    parts: imagesThenText(images, variant === 'plain' ? text : mindCubePrompt(text)),
    maxNewTokens: MOST_TOKENS,
  };
}

/** Translations have a column and no part in the overall figure, as in the official evaluation. */
function combine(answers: readonly ScoredAnswerV1[]): BenchmarkReportV1 {
  const counted = answers.filter((answer) => answer.question.category !== 'translation');
  return { ...microReport(answers, SETTINGS), overall: microReport(counted).overall };
}

/** Row counts of the two known revisions of MindCube-Tiny. */
const REVISIONS = [
  { name: 'public', rotation: 200, among: 600, around: 250 },
  { name: 'paper', rotation: 200, among: 600, around: 400 },
];

function revisionRemarks(questions: readonly ScoredQuestionV1[]): readonly string[] {
  const counts = new Map<string, number>();
  for (const { category } of questions) counts.set(category, (counts.get(category) ?? 0) + 1);
  const found = REVISIONS.find((revision) =>
    SETTINGS.every((setting) => revision[setting] === counts.get(setting)),
  );
  if (found?.name === 'paper') return [];
  const listed = [...counts].map(([name, count]) => `${name} ${count}`);
  const which = found === undefined ? 'An unknown' : 'The public';
  return [
    `${which} revision of MindCube-Tiny (${listed.join(', ')}): Overall is not comparable with the paper's 200/600/400.`,
  ];
}
