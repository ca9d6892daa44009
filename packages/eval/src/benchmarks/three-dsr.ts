import {
  findQuestions,
  groupedAnswers,
  microReport,
  questionsOf,
  readTable,
  type TableRow,
  textOf,
} from '@spatialsv/core/benchmarks';
import type {
  BenchmarkReportV1,
  ScoreColumnV1,
  ScoredAnswerV1,
  ScoredQuestionV1,
} from '@spatialsv/core/spec';
import { inferOption } from '../extract/inferred-option.js';
import { countRemark, defineBenchmark } from './define-benchmark.js';
import { KitImages, kitQuestion } from './kit-table.js';

const FILES = [
  '3dsrbench_v1_vlmevalkit_circular.tsv',
  '3dsrbench_v1_vlmevalkit.tsv',
  '3DSRBench.tsv',
];

/** Types by group, in the order of the table. */
const GROUPS: Readonly<Record<string, readonly string[]>> = {
  height: ['height_higher'],
  location: ['location_above', 'location_closer_to_camera', 'location_next_to'],
  orientation: ['orientation_in_front_of', 'orientation_on_the_left', 'orientation_viewpoint'],
  multi_object: [
    'multi_object_closer_to',
    'multi_object_facing',
    'multi_object_viewpoint_towards_object',
    'multi_object_parallel',
    'multi_object_same_direction',
  ],
};

const FLIP = '-flip';
/** Characters of a question's id, without what marks rotations and flips. */
const BASE = 8;

/**
 * 3DSRBench. `paper`: accuracy of the questions as they are, without flipped images and rotated options; `official`: right only
 * where all flips and rotations of a question are. All four figures stand in either report.
 * Source: open-compass/VLMEvalKit, vlmeval/dataset/image_mcq.py@e8e78f05.
 */
export const threeDsr = defineBenchmark({
  id: '3dsrbench',
  title: '3DSRBench',
  variants: ['paper', 'official'],
  async *questions(root, { onProblem }) {
    const hint = 'Download 3dsrbench_v1_vlmevalkit_circular.tsv of ccvl/3DSRBench.';
    const file = await findQuestions(root, FILES, hint);
    const images = new KitImages();
    const make = async (row: TableRow) => {
      const id = textOf(row, 'qid');
      const facts = {
        id,
        group: id.slice(0, BASE),
        category: textOf(row, 'category'),
        maxNewTokens: 1024,
      };
      return kitQuestion(row, await images.of(row), facts);
    };
    yield* questionsOf(readTable(file, onProblem), make, onProblem);
  },
  extract: (text, { options = [] }) => inferOption(text, options),
  combine,
  remarks: (questions) =>
    countRemark('3DSRBench', { questions: questions.filter(isBase).length }, { questions: 2772 }),
});

const isBase = ({ id }: ScoredQuestionV1): boolean => id.length === BASE;

/** Keys under which answers count together. */
const circular = (id: string): string => id.slice(0, id.includes(FLIP) ? BASE + FLIP.length : BASE);
const unflipped = (id: string): string => id.replace(FLIP, '');

function combine(answers: readonly ScoredAnswerV1[], variant: string): BenchmarkReportV1 {
  const by = (key: (id: string) => string) =>
    groupedAnswers(answers, ({ question }) => key(question.id));
  const base = answers.filter(({ question }) => isBase(question));
  const together = by((id) => id.slice(0, BASE));
  const counted = variant === 'official' ? together : base;
  const figures: readonly (readonly [string, readonly ScoredAnswerV1[]])[] = [
    ['vanilla', answers],
    ['flip', by(unflipped)],
    ['circular', by(circular)],
    ['flip and circular', together],
  ];
  const types = Object.values(GROUPS).flat();
  const report = microReport(counted, types);
  return {
    overall: report.overall,
    columns: [...groupColumns(counted), ...report.columns],
    beside: figures.map(([name, rows]) => ({ ...microReport(rows).overall, name })),
  };
}

const groupColumns = (answers: readonly ScoredAnswerV1[]): readonly ScoreColumnV1[] =>
  Object.entries(GROUPS).flatMap(([name, types]) => {
    const group = answers.filter(({ question: { category } }) => types.includes(category));
    return group.length === 0 ? [] : [{ ...microReport(group).overall, name }];
  });
