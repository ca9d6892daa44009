import {
  answersBy,
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
  textsOf,
} from '@spatialsv/core/benchmarks';
import type { BenchmarkQuestionV1, BenchmarkReportV1, ScoredAnswerV1 } from '@spatialsv/core/spec';
import { lastAnswerTag } from '../extract/answer-tag.js';
import { extractLetterFirst, extractNumber } from '../extract/choice-letter.js';
import { countRemark, defineBenchmark, imagesThenText, letter } from './define-benchmark.js';

const FILES = ['SPBench-SI.parquet', 'SPBench-SI.jsonl', 'SPBench-MV.parquet'];
const CHOICE = ['object_rel_distance', 'object_rel_direction'];
/** Types with their published counts, in the order of the table. */
const TYPES = {
  object_abs_distance: 149,
  object_size_estimation: 463,
  object_rel_distance: 91,
  object_rel_direction: 306,
};

const DIRECT = {
  choice:
    "Please answer with the option's letter from the given choices (e.g., A, B, etc.) directly.",
  number: 'Please answer the question using a numerical value (e.g., 42 or 3.1) directly.',
};

/**
 * SPBench, the set of single images: numbers scored by mean relative accuracy, choices by exact match; every type counts once.
 * `direct` asks for the answer alone; `thinking` reads it out of its tags. Source: ZJU-REAL/SpatialLadder@87320be.
 */
export const spBench = defineBenchmark({
  id: 'spbench',
  title: 'SPBench',
  variants: ['direct', 'thinking'],
  async *questions(root, { variant, onProblem }) {
    const hint = 'Download SPBench-SI.parquet and SPBench-SI-images.zip of hongxingli/SPBench.';
    const file = await findQuestions(root, FILES, hint);
    const folders = ['.', 'SPBench-SI-images', 'SPBench-MV-images'];
    const media = await MediaFinder.open(await folderOf(root), { folders }, onProblem);
    yield* questionsOf(
      readTable(file, onProblem),
      (row) => question(row, media, variant),
      onProblem,
    );
  },
  extract: (text, { right }, variant) => {
    const answer = variant === 'thinking' ? (lastAnswerTag(text) ?? text) : text;
    return right?.kind === 'number' ? extractNumber(answer) : extractLetterFirst(answer);
  },
  score: (extracted, asked) =>
    asked.right?.kind === 'number'
      ? meanRelativeAccuracy(
          extracted === undefined ? undefined : Number(extracted),
          Number(asked.right.value),
        )
      : exactScore(extracted, asked),
  combine,
  remarks: (questions) =>
    countRemark(
      'SPBench-SI',
      Object.fromEntries(
        Object.keys(TYPES).map((name) => [
          name,
          questions.filter(({ category }) => category === name).length,
        ]),
      ),
      TYPES,
    ),
});

async function question(
  row: TableRow,
  media: MediaFinder,
  variant: string,
): Promise<BenchmarkQuestionV1> {
  const category = textOf(row, 'question_type');
  const isChoice = CHOICE.includes(category);
  const texts = isChoice ? textsOf(row, 'options') : [];
  const scene = textOf(row, 'scene_name');
  const names = textsOf(row, 'images');
  const images = await Promise.all(names.map((name) => media.image(`${scene}/${name}`, row.place)));
  const right = textOf(row, 'ground_truth');
  const listed = isChoice ? `\nOptions:\n${texts.join('\n')}` : '';
  const thinking = variant === 'thinking' ? ' Put the answer between <answer> and </answer>.' : '';
  const text = `Question: ${textOf(row, 'question')}${listed}\n\n${isChoice ? DIRECT.choice : DIRECT.number}${thinking}`;
  return {
    id: textOf(row, 'id'),
    category,
    scene,
    ...(isChoice && { options: listedOptions(texts) }),
    right: isChoice ? letter(right) : { kind: 'number', value: right },
    parts: imagesThenText(images, text),
    maxNewTokens: variant === 'thinking' ? 1024 : 128,
  };
}

function combine(answers: readonly ScoredAnswerV1[]): BenchmarkReportV1 {
  const { columns } = microReport(answers, Object.keys(TYPES), scoreColumn);
  const kinds = answersBy(answers, ({ question: { right } }) =>
    right?.kind === 'number' ? 'numbers' : 'choices',
  );
  return {
    overall: meanOfColumns('overall', columns),
    columns,
    beside: [...kinds].map(([name, group]) =>
      name === 'choices' ? { ...microReport(group).overall, name } : scoreColumn(name, group),
    ),
  };
}
