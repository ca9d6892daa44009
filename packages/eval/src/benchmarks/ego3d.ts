import {
  accuracyColumn,
  categoryColumns,
  exactScore,
  findQuestions,
  firstNumber,
  folderOf,
  invalidRow,
  listedOptions,
  MediaFinder,
  meanOfColumns,
  meanRelativeAccuracy,
  questionsOf,
  readTable,
  type TableRow,
  textOf,
} from '@spatialsv/core/benchmarks';
import type {
  BenchmarkQuestionV1,
  BenchmarkReportV1,
  PromptPartV1,
  ScoreColumnV1,
  ScoredAnswerV1,
  ScoredQuestionV1,
} from '@spatialsv/core/spec';
import { extractAnswerTag } from '../extract/answer-tag.js';
import { countRemark, defineBenchmark } from './define-benchmark.js';

const FILES = [
  'Ego3D-Bench.json',
  'ego3d_bench.json',
  'test.json',
  'test.jsonl',
  'test.parquet',
  'test-00000-of-00001.parquet',
  'data/test-00000-of-00001.parquet',
];

/** Views in the order in which they fill the places of a question. */
const VIEWS: Readonly<Record<string, readonly string[]>> = {
  nuscenes: ['Front_Left', 'Front', 'Front_Right', 'Back_Right', 'Back', 'Back_Left'],
  waymo: ['Front', 'Front_Left', 'Side_Left', 'Front_Right', 'Side_Right'],
  argoverse: [
    'Front_Left',
    'Front',
    'Front_Right',
    'Side_Right',
    'Back_Right',
    'Back_Left',
    'Side_Left',
  ],
};

const CHOICE = [
  'Ego_Centric_Absolute_Distance_MultiChoice',
  'Object_Centric_Absolute_Distance_MultiChoice',
  'Localization',
  'Ego_Centric_Motion_Reasoning',
  'Object_Centric_Motion_Reasoning',
  'Travel_Time',
  'Ego_Centric_Relative_Distance',
  'Object_Centric_Relative_Distance',
];
const NUMERIC = ['Ego_Centric_Absolute_Distance', 'Object_Centric_Absolute_Distance'];

/** Predicted distances are cut to this, in metres. */
const FARTHEST = 100;

/**
 * Ego3D-Bench: questions over the surround cameras of a vehicle. `choice`: the multiple-choice set; `all`: distances in metres
 * as well, whose error stands in columns of its own. The overall figure is the mean over the eight categories of choices.
 * Relative-distance and motion questions ask for the letter, as their key is one; yes and no are read as the letter of that
 * option. Source: the official evaluation, utils/eval.py, with the correction of fanyunfeng-bit/EGO3D-BENCH@7cd8624.
 */
export const ego3d = defineBenchmark({
  id: 'ego3d-bench',
  title: 'Ego3D-Bench',
  variants: ['choice', 'all'],
  async *questions(root, { variant, onProblem }) {
    const hint = 'Download the questions of vbdai/Ego3D-Bench and raw_images.zip beside them.';
    const file = await findQuestions(root, FILES, hint);
    const folders = ['.', 'images', 'raw_images', '../images'];
    const media = await MediaFinder.open(await folderOf(root), { folders }, onProblem);
    yield* questionsOf(
      readTable(file, onProblem),
      (row) => question(row, media, variant),
      onProblem,
    );
  },
  extract: (text, { options }) => {
    const answer = extractAnswerTag(text);
    const named = options?.find(
      (option) => option.text.toLowerCase() === answer && /^(yes|no)$/i.test(answer),
    );
    return named?.letter ?? answer;
  },
  score: (extracted, asked) =>
    asked.right?.kind === 'number'
      ? meanRelativeAccuracy(metres(extracted), Number(asked.right.value))
      : exactScore(extracted, asked),
  combine,
  remarks: (questions) =>
    countRemark(
      'Ego3D-Bench',
      { 'multiple-choice questions': questions.filter(isChoice).length },
      { 'multiple-choice questions': 7051 },
    ),
});

const isChoice = ({ right }: ScoredQuestionV1): boolean => right?.kind === 'letter';

/** Zero counts as unread, as in the official evaluation. */
function metres(text: string | null | undefined): number | undefined {
  const value = firstNumber(text ?? '');
  return value === undefined || value === 0 ? undefined : Math.min(FARTHEST, value);
}

async function question(
  row: TableRow,
  media: MediaFinder,
  variant: string,
): Promise<BenchmarkQuestionV1 | undefined> {
  const category = textOf(row, 'category');
  const isNumeric = NUMERIC.includes(category);
  if (isNumeric && variant !== 'all') return undefined;
  const listed = row.value['options'];
  const texts = !isNumeric && Array.isArray(listed) ? (listed as string[]) : [];
  const what = isNumeric ? 'number only' : 'only the letter of the choice';
  const tail = `${texts.map((text) => `\n${text}`).join('')}\nOutput the thinking process in <think> </think> and final answer (${what}) in <answer> </answer> tags.`;
  return {
    id: textOf(row, 'idx'),
    category,
    scene: JSON.stringify(row.value['images']),
    ...(isNumeric ? {} : { options: listedOptions(texts) }),
    right: { kind: isNumeric ? 'number' : 'letter', value: textOf(row, 'answer') },
    parts: await interleaved(row, media, tail),
    maxNewTokens: 1024,
  };
}

/** The text of a question with the views of its vehicle at their places. */
async function interleaved(
  row: TableRow,
  media: MediaFinder,
  tail: string,
): Promise<readonly PromptPartV1[]> {
  const source = textOf(row, 'source');
  const named = (row.value['images'] ?? {}) as Readonly<Record<string, unknown>>;
  const files = (VIEWS[source] ?? Object.keys(named))
    .map((view) => named[view])
    .filter((name): name is string => typeof name === 'string' && name !== '');
  const texts = `${textOf(row, 'question')}${tail}`.split('<image>');
  if (texts.length !== files.length + 1) {
    throw invalidRow(
      row.place,
      `expected a place for each of ${files.length} views, found ${texts.length - 1}`,
      'Take the published file.',
    );
  }
  const parts: PromptPartV1[] = [];
  for (const [i, text] of texts.entries()) {
    if (text !== '') parts.push({ type: 'text', text });
    if (i < files.length)
      parts.push({ type: 'image', image: await media.image(files[i]!, row.place) });
  }
  return parts;
}

function combine(answers: readonly ScoredAnswerV1[]): BenchmarkReportV1 {
  const choice = answers.filter(({ question: asked }) => isChoice(asked));
  const columns = categoryColumns(choice, CHOICE);
  const distances = NUMERIC.map((category) =>
    answers.filter(({ question: asked }) => asked.category === category),
  );
  const errors = distances.flatMap((group, i) =>
    group.length === 0 ? [] : [rootMeanSquare(NUMERIC[i]!, group)],
  );
  return {
    overall: meanOfColumns('overall', columns),
    columns: [...columns, ...errors],
    beside: [accuracyColumn('overall (micro)', choice)],
  };
}

/** Over the answers that hold a number. */
function rootMeanSquare(name: string, answers: readonly ScoredAnswerV1[]): ScoreColumnV1 {
  const squares = answers.flatMap(({ extracted, question: { right } }) => {
    const value = metres(extracted);
    return value === undefined ? [] : [(value - Number(right!.value)) ** 2];
  });
  const mean = squares.reduce((sum, square) => sum + square, 0) / Math.max(1, squares.length);
  return {
    name: `${name} (RMSE, m)`,
    unit: 'error',
    value: Math.sqrt(mean),
    total: squares.length,
  };
}
