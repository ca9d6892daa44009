import {
  findQuestions,
  folderOf,
  MediaFinder,
  microReport,
  partialMatch,
  questionsOf,
  readTable,
  scoreColumn,
  type TableRow,
  textOf,
} from '@spatialsv/core/benchmarks';
import type { BenchmarkReportV1, ScoredAnswerV1, ScoredQuestionV1 } from '@spatialsv/core/spec';
import { inferOption } from '../extract/inferred-option.js';
import { countRemark, defineBenchmark } from './define-benchmark.js';
import { KitImages, kitQuestion } from './kit-table.js';
import { releasedQuestions } from './top-view-rs-rows.js';

const TASKS = [
  'top_view_recognition',
  'top_view_localization',
  'static_spatial_reasoning',
  'dynamic_spatial_reasoning',
];
const SPLITS = { realistic: 5539, semantic: 5845 };

/** The first is the table of the public kit; the others are the authors' own, a file for each kind of map. */
const FILES = [
  'TopViewRS.tsv',
  'released_realistic_datasets.json',
  'released_semantic_datasets.json',
];

/**
 * TopViewRS: questions about maps seen from above, as the table of the public kit, or the authors' own files, whose fields are named
 * by `fields` (`top-view-rs-rows.ts`). Exact match counts; partial match (shared
 * words of the chosen and the right option) stands beside it. Source: arXiv:2406.02537; VLMEvalKit@e8e78f05.
 */
export const topViewRs = defineBenchmark({
  id: 'topviewrs',
  title: 'TopViewRS',
  variants: ['kit'],
  async *questions(root, { fields, onProblem }) {
    const hint = 'Take TopViewRS.tsv of the public evaluation kit, or a table of the same columns.';
    const file = await findQuestions(root, FILES, hint);
    if (file.endsWith('.json')) {
      const media = await MediaFinder.open(
        await folderOf(root),
        { folders: ['.', 'data'] },
        onProblem,
      );
      yield* releasedQuestions(file, { fields, media, onProblem });
      return;
    }
    const images = new KitImages();
    const make = async (row: TableRow) => {
      const split = row.value['split'];
      const facts = {
        id: textOf(row, 'index'),
        category: textOf(row, 'category'),
        maxNewTokens: 20,
      };
      return kitQuestion(row, await images.of(row), { ...facts, details: { split: split ?? '' } });
    };
    yield* questionsOf(readTable(file, onProblem), make, onProblem);
  },
  extract: (text, { options = [] }) => inferOption(text, options),
  combine,
  remarks: (questions) => countRemark('TopViewRS', bySplit(questions), SPLITS),
});

const splitOf = ({ details }: ScoredQuestionV1): string => String(details?.['split'] ?? '');

const bySplit = (questions: readonly ScoredQuestionV1[]): Record<string, number> =>
  Object.fromEntries(
    Object.keys(SPLITS).map((name) => [
      name,
      questions.filter((each) => splitOf(each) === name).length,
    ]),
  );

function combine(answers: readonly ScoredAnswerV1[]): BenchmarkReportV1 {
  const splits = Object.keys(SPLITS).flatMap((name) => {
    const group = answers.filter(({ question }) => splitOf(question) === name);
    return group.length === 0 ? [] : [{ ...microReport(group).overall, name }];
  });
  const partial = answers.map((answer) => ({ ...answer, score: partialScore(answer) }));
  return {
    ...microReport(answers, TASKS),
    beside: [...splits, scoreColumn('partial match', partial)],
  };
}

function partialScore({ extracted, question: { options = [], right } }: ScoredAnswerV1): number {
  const textOfLetter = (name: string | null | undefined) =>
    options.find(({ letter }) => letter === name)?.text;
  const [said, truth] = [textOfLetter(extracted), textOfLetter(right?.value)];
  return said === undefined || truth === undefined ? 0 : partialMatch(said, truth);
}
