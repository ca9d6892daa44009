import {
  findQuestions,
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

const TASKS = [
  'top_view_recognition',
  'top_view_localization',
  'static_spatial_reasoning',
  'dynamic_spatial_reasoning',
];
const SPLITS = { realistic: 5539, semantic: 5845 };

/**
 * TopViewRS: questions about maps seen from above, as the table of the public kit. Exact match counts; partial match (shared
 * words of the chosen and the right option) stands beside it. Source: arXiv:2406.02537; VLMEvalKit@e8e78f05.
 */
export const topViewRs = defineBenchmark({
  id: 'topviewrs',
  title: 'TopViewRS',
  variants: ['kit'],
  async *questions(root, { onProblem }) {
    const hint = 'Take TopViewRS.tsv of the public evaluation kit, or a table of the same columns.';
    const file = await findQuestions(root, ['TopViewRS.tsv'], hint);
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
