import { stat } from 'node:fs/promises';
import path from 'node:path';
import {
  accuracyColumn,
  findQuestions,
  folderOf,
  invalidRow,
  keepBytes,
  leadingLetter,
  listedOptions,
  microReport,
  questionsOf,
  readTable,
  type TableRow,
  textOf,
  textsOf,
} from '@spatialsv/core/benchmarks';
import type { BenchmarkQuestionV1, BenchmarkReportV1, ScoredAnswerV1 } from '@spatialsv/core/spec';
import { extractChoiceLetter } from '../extract/choice-letter.js';
import { countRemark, defineBenchmark, imagesThenText, letter } from './define-benchmark.js';

const FILES = ['test_2d.parquet', 'test_3d.parquet'];
const TASKS = ['Count', 'Relation', 'Depth', 'Distance'];
const NOTE =
  'Note: You only need to respond with {A, B, …} without providing any additional information.\n\n';

/**
 * CV-Bench of Cambrian-1, single images. The overall figure is half of 2D (the mean over its two sources) and half of 3D.
 * Source: nyu-visionx/CV-Bench; EvolvingLMMs-Lab/lmms-eval, lmms_eval/tasks/cv_bench/utils.py@75571cf.
 */
export const cvBench = defineBenchmark({
  id: 'cv-bench',
  title: 'CV-Bench (Cambrian)',
  variants: ['official'],
  async *questions(root, { onProblem }) {
    const hint = 'Download test_2d.parquet and test_3d.parquet of nyu-visionx/CV-Bench.';
    const first = await findQuestions(root, FILES, hint);
    const folder = await folderOf(root);
    const second = path.join(folder, FILES[1]!);
    const isThere = (await stat(second).catch(() => undefined))?.isFile() ?? false;
    const files = root === folder && isThere && second !== first ? [first, second] : [first];
    for (const file of files) yield* questionsOf(readTable(file, onProblem), question, onProblem);
  },
  extract: extractChoiceLetter,
  combine,
  remarks: (questions) =>
    countRemark('CV-Bench', { questions: questions.length }, { questions: 2638 }),
});

async function question(row: TableRow): Promise<BenchmarkQuestionV1> {
  const right = leadingLetter(textOf(row, 'answer'));
  const bytes = (row.value['image'] as { bytes?: unknown } | undefined)?.bytes;
  if (right === undefined || !(bytes instanceof Uint8Array)) {
    throw invalidRow(
      row.place,
      'expected an answer such as (B) and the bytes of an image',
      'Take the published file.',
    );
  }
  return {
    id: `${textOf(row, 'type')}/${textOf(row, 'idx')}`,
    category: textOf(row, 'task'),
    options: listedOptions(textsOf(row, 'choices')),
    right: letter(right),
    details: { source: textOf(row, 'source'), type: textOf(row, 'type') },
    parts: imagesThenText(
      [{ name: row.place, source: await keepBytes(bytes) }],
      `${NOTE}${textOf(row, 'prompt')}`,
    ),
    maxNewTokens: 16,
  };
}

function combine(answers: readonly ScoredAnswerV1[]): BenchmarkReportV1 {
  const of = (key: string, value: string) =>
    accuracyColumn(
      value,
      answers.filter(({ question: { details } }) => details?.[key] === value),
    );
  const [ade, coco, omni] = ['ADE20K', 'COCO', 'Omni3D'].map((source) => of('source', source)) as [
    ReturnType<typeof of>,
    ReturnType<typeof of>,
    ReturnType<typeof of>,
  ];
  const value = ((ade.value + coco.value) / 2 + omni.value) / 2;
  const micro = microReport(answers, TASKS);
  return {
    overall: { name: 'overall', unit: 'score', value, total: answers.length },
    columns: micro.columns,
    beside: [
      of('type', '2D'),
      of('type', '3D'),
      ade,
      coco,
      omni,
      { ...micro.overall, name: 'overall (micro)' },
    ],
  };
}
