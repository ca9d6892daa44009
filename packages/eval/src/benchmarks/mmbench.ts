import {
  answersBy,
  columnOptions,
  findQuestions,
  groupedAnswers,
  microReport,
  type ProblemListener,
  questionsOf,
  readTable,
  type TableRow,
  textOf,
} from '@spatialsv/core/benchmarks';
import type {
  AnswerOptionV1,
  BenchmarkQuestionV1,
  BenchmarkReportV1,
  ScoreColumnV1,
  ScoredAnswerV1,
} from '@spatialsv/core/spec';
import { inferOption } from '../extract/inferred-option.js';
import { countRemark, defineBenchmark, letter } from './define-benchmark.js';
import { KitImages, kitPrompt, kitQuestion } from './kit-table.js';

const FILES = [
  'MMBench_DEV_EN.tsv',
  'MMBench_DEV_EN_V11.tsv',
  'MMBench_TEST_EN.tsv',
  'MMBench_TEST_EN_V11.tsv',
  'MMBench.tsv',
];
/** Rotated copies of question i have the indices i + k · 10⁶. */
const COPY = 1_000_000;
const MOST_TOKENS = 1024;

/** Abilities in the order of the table, as their names compare with letter case and separators aside. */
const ABILITIES: Readonly<Record<string, string>> = {
  coarseperception: 'CP',
  finegrainedperceptioninstancelevel: 'FP-S',
  finegrainedperceptioncrossinstance: 'FP-C',
  logicreasoning: 'LR',
  relationreasoning: 'RR',
  attributereasoning: 'AR',
};

/**
 * MMBench. `vanilla`: each question once; `circular`: with its options rotated, right only where every rotation is. Copies that a
 * file lacks are made. Source: open-compass/MMBench, VLMEvalKit vlmeval/dataset/utils/multiple_choice.py@e8e78f05.
 */
export const mmbench = defineBenchmark({
  id: 'mmbench',
  title: 'MMBench',
  variants: ['vanilla', 'circular'],
  async *questions(root, { variant, onProblem }) {
    const hint = 'Download MMBench_DEV_EN.tsv, or name a table of the same columns.';
    const file = await findQuestions(root, FILES, hint);
    yield* variant === 'circular' ? rotated(file, onProblem) : once(file, onProblem);
  },
  extract: (text, { options = [] }) => inferOption(text, options),
  combine,
  remarks: (questions) =>
    countRemark(
      'MMBench (dev)',
      { questions: new Set(questions.map(({ group }) => group)).size },
      { questions: 1164 },
    ),
});

const numberOf = (row: TableRow): number => Number(textOf(row, 'index'));

function once(file: string, onProblem: ProblemListener): AsyncIterable<BenchmarkQuestionV1> {
  const images = new KitImages();
  const make = async (row: TableRow) => {
    const seen = await images.of(row);
    return numberOf(row) < COPY ? kitQuestion(row, seen, facts(row, 0)) : undefined;
  };
  return questionsOf(readTable(file, onProblem), make, onProblem);
}

/** Copies come from the file where it has them, and are made from the first rows where not. */
async function* rotated(
  file: string,
  onProblem: ProblemListener,
): AsyncGenerator<BenchmarkQuestionV1> {
  const given = await copiesIn(file);
  const images = new KitImages();
  for await (const row of readTable(file, onProblem)) {
    const copies = given || numberOf(row) >= COPY ? 1 : columnOptions(row.value).length;
    yield* questionsOf(repeat(row, copies), (each) => rotation(each, images, given), onProblem);
  }
}

async function copiesIn(file: string): Promise<boolean> {
  for await (const row of readTable(file, () => {}))
    if (Number(row.value['index']) >= COPY) return true;
  return false;
}

async function* repeat(row: TableRow, copies: number): AsyncGenerator<TableRow> {
  for (let shift = 0; shift < copies; shift += 1) {
    yield { ...row, value: { ...row.value, shift } };
  }
}

async function rotation(
  row: TableRow,
  images: KitImages,
  given: boolean,
): Promise<BenchmarkQuestionV1> {
  const shift = row.value['shift'] as number;
  const whole = kitQuestion(row, await images.of(row), facts(row, shift));
  if (given || shift === 0) return whole;
  const before = whole.options ?? [];
  const options = rotate(before, shift);
  const place = before.findIndex(({ letter: name }) => name === whole.right?.value);
  const right = before[(place - shift + before.length) % before.length]?.letter;
  const text = kitPrompt(row, options);
  const parts = whole.parts.map((part) => (part.type === 'text' ? { ...part, text } : part));
  return {
    ...whole,
    options,
    parts,
    ...(whole.right && right !== undefined && { right: letter(right) }),
  };
}

/** Option i gets the text of option i + shift. */
const rotate = (options: readonly AnswerOptionV1[], shift: number): readonly AnswerOptionV1[] =>
  options.map(({ letter: name }, i) => ({
    letter: name,
    text: options[(i + shift) % options.length]!.text,
  }));

function facts(row: TableRow, shift: number) {
  const number = numberOf(row) + shift * COPY;
  const ability = row.value['l2-category'] ?? row.value['L2-category'];
  return {
    id: String(number),
    category: textOf(row, 'category'),
    group: String(number % COPY),
    maxNewTokens: MOST_TOKENS,
    details: { ability: abilityOf(String(ability ?? '')) },
  };
}

const abilityOf = (name: string): string =>
  ABILITIES[name.toLowerCase().replace(/[^a-z]/g, '')] ?? name;

function combine(answers: readonly ScoredAnswerV1[], variant: string): BenchmarkReportV1 {
  const counted = variant === 'circular' ? groupedAnswers(answers) : answers;
  const abilities = answersBy(counted, ({ question: { details } }) =>
    String(details?.['ability'] ?? ''),
  );
  const order = [...Object.values(ABILITIES), ...abilities.keys()];
  const ofAbilities: ScoreColumnV1[] = [...new Set(order)].flatMap((name) => {
    const group = abilities.get(name);
    return group === undefined || name === '' ? [] : [{ ...microReport(group).overall, name }];
  });
  const report = microReport(counted);
  return { ...report, columns: [...ofAbilities, ...report.columns] };
}
