/** Tables of the public evaluation kit: one question a row, options in columns, the image in base64 or that of another row. */
import {
  columnOptions,
  decodeBase64,
  invalidRow,
  isMissing,
  keepBytes,
  multipleChoicePrompt,
  parsePythonLiteral,
  type TableRow,
  textOf,
} from '@spatialsv/core/benchmarks';
import type { AnswerOptionV1, BenchmarkImageV1, BenchmarkQuestionV1 } from '@spatialsv/core/spec';
import { imagesThenText, letter } from './define-benchmark.js';

/** Shorter cells name the row whose image is meant. */
const LONGEST_REFERENCE = 64;

/** Images of a table as its rows come by. They are kept on the disk until they are asked for. */
export class KitImages {
  /** Images that a later row may refer to, by the index of their row. Copies of a question come behind it. */
  readonly #known = new Map<string, readonly BenchmarkImageV1[]>();

  async of(row: TableRow): Promise<readonly BenchmarkImageV1[]> {
    const cell = textOf(row, 'image');
    const images =
      cell.length <= LONGEST_REFERENCE ? this.#referred(cell, row) : await keptImages(cell, row);
    this.#known.set(textOf(row, 'index'), images);
    return images;
  }

  #referred(reference: string, row: TableRow): readonly BenchmarkImageV1[] {
    const images = this.#known.get(reference);
    if (images !== undefined) return images;
    const problem = `column 'image': expected base64 or the index of an earlier row, found '${reference}'`;
    throw invalidRow(row.place, problem, 'Download the table again.');
  }
}

async function keptImages(cell: string, { place }: TableRow): Promise<readonly BenchmarkImageV1[]> {
  const several = cell.startsWith('[') ? parsePythonLiteral(cell) : undefined;
  const texts = Array.isArray(several) ? several.map(String) : [cell];
  const images: BenchmarkImageV1[] = [];
  for (const [i, text] of texts.entries()) {
    const name = texts.length === 1 ? place : `${place}#${i + 1}`;
    images.push({ name, source: await keepBytes(decodeBase64(text, place)) });
  }
  return images;
}

/** The prompt of the kit for a row with these options. */
export function kitPrompt(row: TableRow, options: readonly AnswerOptionV1[]): string {
  const { hint } = row.value;
  return multipleChoicePrompt({
    question: textOf(row, 'question'),
    options: Object.fromEntries(options.map(({ letter: name, text }) => [name, text])),
    hint: isMissing(hint) ? undefined : String(hint),
  });
}

export interface KitQuestion extends Pick<BenchmarkQuestionV1, 'id' | 'category' | 'maxNewTokens'> {
  readonly group?: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

/** A row as the kit asks it. Answers may be missing: test splits keep them to themselves. */
export function kitQuestion(
  row: TableRow,
  images: readonly BenchmarkImageV1[],
  question: KitQuestion,
): BenchmarkQuestionV1 {
  const options = columnOptions(row.value);
  return {
    ...question,
    ...(options.length > 0 && { options }),
    ...(!isMissing(row.value['answer']) && { right: letter(rightLetter(row, options)) }),
    parts: imagesThenText(images, kitPrompt(row, options)),
  };
}

function rightLetter(row: TableRow, options: readonly AnswerOptionV1[]): string {
  const answer = textOf(row, 'answer').trim();
  if (options.some(({ letter: name }) => name === answer)) return answer;
  const letters = options.map(({ letter: name }) => name).join(', ') || 'none';
  throw invalidRow(
    row.place,
    `column 'answer': expected one of ${letters}, found '${answer}'`,
    'Take the published file.',
  );
}
