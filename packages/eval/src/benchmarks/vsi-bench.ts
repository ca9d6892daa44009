import {
  accuracyColumn,
  categoryColumns,
  exactScore,
  findQuestions,
  folderOf,
  listedOptions,
  MediaFinder,
  meanOfColumns,
  meanRelativeAccuracy,
  microReport,
  questionsOf,
  readTable,
  scoreColumn,
  type TableRow,
  textOf,
} from '@spatialsv/core/benchmarks';
import type {
  BenchmarkQuestionV1,
  BenchmarkReportV1,
  ScoredAnswerV1,
  ScoredQuestionV1,
} from '@spatialsv/core/spec';
import { extractFirstWord } from '../extract/first-word.js';
import { countRemark, defineBenchmark, letter } from './define-benchmark.js';

const FILES = [
  'test.jsonl',
  'test.parquet',
  'test-00000-of-00001.parquet',
  'data/test-00000-of-00001.parquet',
];

/** Multiple-choice types in the order of the paper's table, with their published counts. */
const CHOICE = {
  object_rel_direction_hard: 373,
  object_rel_direction_medium: 378,
  object_rel_direction_easy: 217,
  object_rel_distance: 710,
  obj_appearance_order: 618,
  route_planning: 194,
} as const;
const NUMERIC = [
  'object_counting',
  'object_abs_distance',
  'object_size_estimation',
  'room_size_estimation',
];
const DIRECTION = 'object_rel_direction';

/** Frames of the official batch script for open models. */
const FRAMES = 32;

/**
 * VSI-Bench: questions about a video of a room. `paper`: the multiple-choice types, each question counting once; `official`:
 * all types, a mean over the eight tasks with the three direction levels as one. Source: vision-x-nyu/thinking-in-space@51e089c.
 */
export const vsiBench = defineBenchmark({
  id: 'vsi-bench',
  title: 'VSI-Bench',
  variants: ['paper', 'official'],
  async *questions(root, { variant, onProblem, frames = FRAMES }) {
    const hint =
      'Download test.jsonl or the Parquet file of nyu-visionx/VSI-Bench, and unpack its archives of videos beside it.';
    const file = await findQuestions(root, FILES, hint);
    const media = await MediaFinder.open(
      await folderOf(root),
      { folders: ['.', '..'], archives: [] },
      onProblem,
    );
    const make = (row: TableRow) => question(row, media, { variant, frames });
    yield* questionsOf(readTable(file, onProblem), make, onProblem);
  },
  extract: extractFirstWord,
  score: (extracted, asked) =>
    asked.right?.kind === 'number'
      ? meanRelativeAccuracy(numberOf(extracted), Number(asked.right.value))
      : exactScore(extracted, asked),
  combine: (answers, variant) =>
    variant === 'official' ? official(answers) : microReport(answers, Object.keys(CHOICE)),
  remarks: (questions) => countRemark('VSI-Bench', countsOf(questions), CHOICE),
});

const numberOf = (text: string | undefined): number | undefined => {
  const value = Number(text);
  return text === undefined || text === '' || Number.isNaN(value) ? undefined : value;
};

function countsOf(questions: readonly ScoredQuestionV1[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { category } of questions) counts[category] = (counts[category] ?? 0) + 1;
  return counts;
}

interface Asked {
  readonly variant: string;
  readonly frames: number;
}

async function question(
  row: TableRow,
  media: MediaFinder,
  { variant, frames }: Asked,
): Promise<BenchmarkQuestionV1 | undefined> {
  const category = textOf(row, 'question_type');
  const isNumeric = NUMERIC.includes(category);
  if (isNumeric && variant === 'paper') return undefined;
  const listed = row.value['options'];
  const texts = Array.isArray(listed) ? (listed as string[]) : [];
  const scene = `${textOf(row, 'dataset')}/${textOf(row, 'scene_name')}`;
  const right = textOf(row, 'ground_truth');
  const ask = isNumeric
    ? ['Please answer the question using a single word or phrase.']
    : [
        `Options:\n${texts.join('\n')}`,
        "Answer with the option's letter from the given choices directly.",
      ];
  return {
    id: textOf(row, 'id'),
    category,
    scene,
    ...(isNumeric ? {} : { options: listedOptions(texts) }),
    right: isNumeric ? { kind: 'number', value: right } : letter(right),
    parts: [
      { type: 'video', video: { path: await media.file(`${scene}.mp4`, row.place), frames } },
      {
        type: 'text',
        text: ['These are frames of a video.', textOf(row, 'question'), ...ask].join('\n'),
      },
    ],
    maxNewTokens: 16,
  };
}

/** Every task counts once; the levels of direction are one task. */
function official(answers: readonly ScoredAnswerV1[]): BenchmarkReportV1 {
  const isDirection = (name: string) => name.startsWith(DIRECTION);
  const columns = categoryColumns(answers, [...Object.keys(CHOICE), ...NUMERIC], scoreColumn);
  const directions = columns.filter(({ name }) => isDirection(name));
  const direction = directions.length === 0 ? [] : [meanOfColumns(DIRECTION, directions)];
  const tasks = [...direction, ...columns.filter(({ name }) => !isDirection(name))];
  const choice = answers.filter(({ question: { right } }) => right?.kind === 'letter');
  return {
    overall: meanOfColumns('overall', tasks),
    columns,
    beside: [...direction, accuracyColumn('multiple choice (micro)', choice)],
  };
}
