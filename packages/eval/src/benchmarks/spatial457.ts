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
import type { BenchmarkImageV1, BenchmarkQuestionV1, ScoredQuestionV1 } from '@spatialsv/core/spec';
import { extractJsonAnswer } from '../extract/json-answer.js';
import { defineBenchmark } from './define-benchmark.js';
import { firstText, lastText, SUBSETS } from './spatial457-prompt.js';

/**
 * Spatial457: free answers about synthetic scenes on five levels. Each level is a file of the authors, or all are one table of
 * the public kit. `kit` accepts vehicles of one family and numbers for words; `lenient` accepts yes, true and 1 for each other,
 * and no families. Source: open-compass/VLMEvalKit, vlmeval/dataset/spatial457.py@e8e78f05; lmms-eval@75571cf.
 */
export const spatial457 = defineBenchmark({
  id: 'spatial457',
  title: 'Spatial457',
  variants: ['kit', 'lenient'],
  async *questions(root, { onProblem }) {
    const folder = await folderOf(root);
    const files = await questionFiles(root, folder);
    const media = await MediaFinder.open(
      folder,
      { folders: ['.', 'images', '../images'] },
      onProblem,
    );
    for (const file of files) yield* ofFile(file, media, onProblem);
  },
  extract: extractJsonAnswer,
  score: (extracted, asked, variant) => (isRight(extracted ?? '', asked, variant) ? 1 : 0),
  combine: (answers) => microReport(answers, SUBSETS),
});

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
      parts: [
        { type: 'text', text: firstText(category) },
        { type: 'image', image: await imageOf(row, media) },
        { type: 'text', text: textOf(row, 'question') },
        { type: 'text', text: lastText() },
      ],
      maxNewTokens: 512,
    };
  };
  return questionsOf(readTable(file, onProblem), make, onProblem);
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
  if (variant === 'lenient') return canonical(said) === canonical(truth);
  const read = said === 'none' ? 'no' : said;
  return (
    read === truth ||
    (read === '0' && truth === 'no') ||
    NUMBERS.indexOf(read) === Number(truth || Number.NaN) ||
    (truth === 'yes' && /^[1-9]$/.test(read)) ||
    FAMILIES.some((family) => [read, truth].every((text) => family.includes(text.split(' ')[0]!)))
  );
}

const canonical = (text: string): string =>
  ['yes', 'true', '1'].includes(text) ? 'yes' : ['no', 'false', '0'].includes(text) ? 'no' : text;
