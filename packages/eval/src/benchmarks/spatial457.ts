import { readdir } from 'node:fs/promises';
import path from 'node:path';
import {
  decodeBase64,
  findQuestions,
  folderOf,
  keepBytes,
  MediaFinder,
  microReport,
  type ProblemListener,
  questionsOf,
  readTable,
  type TableRow,
  textOf,
} from '@spatialsv/core/benchmarks';
import type {
  BenchmarkImageV1,
  BenchmarkQuestionV1,
  PromptPartV1,
  ScoreColumnV1,
  ScoredAnswerV1,
  ScoredQuestionV1,
} from '@spatialsv/core/spec';
import {
  extractJsonAnswer,
  FORMAT_ERRORS,
  type FormatError,
  formatErrorOf,
  KIT_FORMS,
  LME_FORMS,
} from '../extract/json-answer.js';
import { defineBenchmark } from './define-benchmark.js';
import { firstText, lastText, SUBSETS, type Toolkit } from './spatial457-prompt.js';

/** How a variant asks, and how it reads and scores. */
interface SpatialProtocol {
  readonly prompt: Toolkit;
  readonly scorer: Toolkit;
}

const PROTOCOLS: Readonly<Record<string, SpatialProtocol>> = {
  kit: { prompt: 'kit', scorer: 'kit' },
  lme: { prompt: 'lme', scorer: 'lme' },
  'kit-lme': { prompt: 'kit', scorer: 'lme' },
};

const protocolOf = (variant: string): SpatialProtocol => PROTOCOLS[variant] ?? PROTOCOLS['kit']!;

const formsOf = (variant: string) => (protocolOf(variant).scorer === 'kit' ? KIT_FORMS : LME_FORMS);

/**
 * Spatial457: free answers about synthetic scenes on five levels. Each level is a file of the authors, or all are one table of
 * the public kit. `kit` accepts vehicles of one family and numbers for words; `lme` has the prompt and the scores of lmms-eval,
 * which accepts yes, true and 1 for each other, and no families; `kit-lme` scores so what was asked as `kit` asks.
 * Source: open-compass/VLMEvalKit, vlmeval/dataset/spatial457.py@e8e78f05; lmms-eval, lmms_eval/tasks/spatial457@46340e1.
 */
export const spatial457 = defineBenchmark({
  id: 'spatial457',
  title: 'Spatial457',
  variants: Object.keys(PROTOCOLS),
  async *questions(root, { variant, onProblem }) {
    const folder = await folderOf(root);
    const files = await questionFiles(root, folder);
    const media = await MediaFinder.open(
      folder,
      { folders: ['.', 'images', '../images'] },
      onProblem,
    );
    for (const file of files) yield* ofFile(file, media, protocolOf(variant), onProblem);
  },
  extract: (text, _, variant) => extractJsonAnswer(text, formsOf(variant)),
  score: (extracted, asked, variant) => (isRight(extracted ?? '', asked, variant) ? 1 : 0),
  combine: (answers, variant) => ({
    ...microReport(answers, SUBSETS),
    beside: formatErrors(answers, variant),
  }),
});

/** Answers that do not follow the template, which are read as a whole: all of them, and by kind. */
function formatErrors(
  answers: readonly ScoredAnswerV1[],
  variant: string,
): readonly ScoreColumnV1[] {
  const texts = answers.flatMap(({ raw }) => raw ?? []);
  if (texts.length === 0) return [];
  const kinds = texts.flatMap((text) => formatErrorOf(text, formsOf(variant)) ?? []);
  const column = (name: string, value: number): ScoreColumnV1 => ({
    ...{ name, unit: 'count', value, total: texts.length },
  });
  const ofKind = (kind: FormatError) =>
    column(`format: ${kind}`, kinds.filter((each) => each === kind).length);
  return [column('format errors', kinds.length), ...FORMAT_ERRORS.map(ofKind)];
}

async function questionFiles(root: string, folder: string): Promise<readonly string[]> {
  for (const below of ['questions', '.']) {
    const names = await readdir(path.join(folder, below)).catch(() => [] as string[]);
    const found = SUBSETS.flatMap((subset) =>
      names.filter((name) => subsetOf(name) === subset && /\.(json|parquet)$/.test(name)),
    );
    if (found.length > 0 && root === folder)
      return found.map((name) => path.join(folder, below, name));
  }
  const hint =
    'Download questions/ and images/ of RyanWW/Spatial457, or Spatial457.tsv of the public kit.';
  return [
    await findQuestions(
      root,
      ['Spatial457.tsv', ...SUBSETS.map((name) => `questions/${name}.json`)],
      hint,
    ),
  ];
}

/** `L3_2D_spatial.json` and `L3_2d_spatial.json` are the same level. */
const subsetOf = (name: string): string | undefined =>
  SUBSETS.find((subset) => name.toLowerCase().startsWith(subset.toLowerCase()));

function ofFile(
  file: string,
  media: MediaFinder,
  { prompt }: SpatialProtocol,
  onProblem: ProblemListener,
): AsyncIterable<BenchmarkQuestionV1> {
  const subset = subsetOf(path.basename(file));
  let number = 0;
  const make = async (row: TableRow): Promise<BenchmarkQuestionV1> => {
    number += 1;
    const category = subset ?? subsetOf(textOf(row, 'category')) ?? textOf(row, 'category');
    const name = String(row.value['question_index'] ?? row.value['index'] ?? number);
    return {
      id: `${category}/${name}`,
      category,
      scene: String(row.value['image_filename'] ?? name),
      right: { kind: 'text', value: asText(textOf(row, 'answer')) },
      parts: partsOf(prompt, category, textOf(row, 'question'), await imageOf(row, media)),
      maxNewTokens: 512,
    };
  };
  return questionsOf(readTable(file, onProblem), make, onProblem);
}

/** The image stands before the question, or before everything. */
function partsOf(
  toolkit: Toolkit,
  category: string,
  question: string,
  image: BenchmarkImageV1,
): readonly PromptPartV1[] {
  const shown = { type: 'image', image } as const;
  const text = (content: string) => ({ type: 'text', text: content }) as const;
  const [first, last] = [firstText(category, toolkit), lastText(toolkit)];
  if (toolkit === 'kit') return [text(first), shown, text(question), text(last)];
  return [shown, text(`${first}${question}\n${last}`)];
}

async function imageOf(row: TableRow, media: MediaFinder): Promise<BenchmarkImageV1> {
  const { image } = row.value;
  if (typeof image === 'string' && image.length > 64) {
    return { name: row.place, source: await keepBytes(decodeBase64(image, row.place)) };
  }
  const bytes = (image as { bytes?: unknown } | undefined)?.bytes;
  if (bytes instanceof Uint8Array) return { name: row.place, source: await keepBytes(bytes) };
  return media.image(textOf(row, 'image_filename'), row.place);
}

/** Loaders of different editions turn booleans into words. */
const asText = (answer: string): string =>
  /^true$/i.test(answer) ? 'Yes' : /^false$/i.test(answer) ? 'No' : answer;

const NUMBERS = [
  'zero',
  'one',
  'two',
  'three',
  'four',
  'five',
  'six',
  'seven',
  'eight',
  'nine',
  'ten',
];

/** Vehicles that count for each other, by the first word of their names. */
const FAMILIES = [
  ['suv', 'wagon', 'minivan', 'sedan', 'truck', 'addi', 'car'],
  ['articulated', 'regular', 'double', 'school', 'bus'],
  ['chopper', 'dirtbike', 'scooter', 'cruiser', 'motorbike'],
  ['jet', 'fighter', 'biplane', 'airliner', 'aeroplane'],
  ['road', 'utility', 'mountain', 'tandem', 'bicycle'],
];

export function isRight(answer: string, { right }: ScoredQuestionV1, variant: string): boolean {
  const said = answer.trim().toLowerCase();
  const truth = right!.value.trim().toLowerCase();
  if (protocolOf(variant).scorer === 'lme') return isSameToLme(said, truth);
  const read = said === 'none' ? 'no' : said;
  return (
    read === truth ||
    (read === '0' && truth === 'no') ||
    NUMBERS.indexOf(read) === Number(truth || Number.NaN) ||
    (truth === 'yes' && /^[1-9]$/.test(read)) ||
    FAMILIES.some((family) => [read, truth].every((text) => family.includes(text.split(' ')[0]!)))
  );
}

const YES = ['yes', 'true', '1'];
const NO = ['no', 'false', '0'];

/** Words for yes and for no are one each, and whole numbers are numbers. */
const isSameToLme = (said: string, truth: string): boolean =>
  said === truth ||
  [YES, NO].some((words) => words.includes(said) && words.includes(truth)) ||
  ([said, truth].every((text) => /^\d+$/.test(text)) && BigInt(said) === BigInt(truth));
