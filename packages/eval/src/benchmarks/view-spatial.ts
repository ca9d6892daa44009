import {
  findQuestions,
  folderOf,
  invalidRow,
  leadingLetter,
  listedOptions,
  MediaFinder,
  microReport,
  questionsOf,
  readTable,
  type TableRow,
  textOf,
  textsOf,
} from '@spatialsv/core/benchmarks';
import type { BenchmarkQuestionV1, ScoredAnswerV1 } from '@spatialsv/core/spec';
import { extractLastLineLetter } from '../extract/last-line-letter.js';
import { countRemark, defineBenchmark, imagesThenText, letter } from './define-benchmark.js';

const FILES = ['ViewSpatial-Bench.json', 'eval/ViewSpatial-Bench.json'];
const CAMERA = [
  'Camera perspective - Relative Direction',
  'Camera perspective - Object View Orientation',
];
const PERSON = [
  'Person perspective - Object View Orientation',
  'Person perspective - Relative Direction',
  'Person perspective - Scene Simulation Relative Direction',
];
const TYPES = [...CAMERA, ...PERSON];

/**
 * ViewSpatial-Bench: directions and orientations from the camera's and a person's point of view. `official` joins question
 * and choices without a separator, as the authors' script does; `kit` is the prompt of the public kits.
 * Source: ZJU-REAL/ViewSpatial-Bench, evaluate.py@2e85a5e.
 */
export const viewSpatial = defineBenchmark({
  id: 'viewspatial',
  title: 'ViewSpatial-Bench',
  variants: ['official', 'kit'],
  async *questions(root, { variant, onProblem }) {
    const hint =
      'Download ViewSpatial-Bench.json with scannetv2_val.zip and val2017.zip of lidingm/ViewSpatial-Bench.';
    const file = await findQuestions(root, FILES, hint);
    const media = await MediaFinder.open(await folderOf(root), { folders: ['.', '..'] }, onProblem);
    let row = 0;
    const make = (each: TableRow) => question(each, String(row++), media, variant);
    yield* questionsOf(readTable(file, onProblem), make, onProblem);
  },
  extract: extractLastLineLetter,
  combine(answers) {
    const micro = microReport(answers, TYPES);
    return { ...micro, beside: [perspective('Camera', answers), perspective('Person', answers)] };
  },
  remarks: (questions) =>
    countRemark('ViewSpatial-Bench', { questions: questions.length }, { questions: 5712 }),
});

const perspective = (name: string, answers: readonly ScoredAnswerV1[]) => ({
  ...microReport(answers.filter(({ question: { category } }) => category.startsWith(name))).overall,
  name: `${name} perspective`,
});

async function question(
  row: TableRow,
  id: string,
  media: MediaFinder,
  variant: string,
): Promise<BenchmarkQuestionV1> {
  const [text, choices, answer] = ['question', 'choices', 'answer'].map((name) =>
    textOf(row, name),
  ) as [string, string, string];
  const right = leadingLetter(answer);
  if (right === undefined)
    throw invalidRow(
      row.place,
      `answer '${answer}' begins with no letter`,
      'Take the published file.',
    );
  const paths = textsOf(row, 'image_path');
  const images = await Promise.all(paths.map((name) => find(media, name, row.place)));
  const tail = '\nReply only to the corresponding option.\nAnswer:';
  const prompt =
    variant === 'kit'
      ? `Question: ${text}\nChoices: ${choices}${tail}`
      : `${text}${choices}${tail}`;
  return {
    id,
    category: textOf(row, 'question_type'),
    scene: paths[0]!.split('/').slice(0, 3).join('/'),
    options: listedOptions(choices.split('\n').filter((line) => line.trim() !== '')),
    right: letter(right),
    parts: imagesThenText(images, prompt),
    maxNewTokens: 128,
  };
}

/** Rows begin their paths with the name of the benchmark's own folder, archives do not. */
const find = (media: MediaFinder, name: string, place: string) =>
  media.image(name, place).catch((error: unknown) => {
    const inside = name.replace(/^ViewSpatial-Bench\//, '');
    if (inside === name) throw error;
    return media.image(inside, place);
  });
