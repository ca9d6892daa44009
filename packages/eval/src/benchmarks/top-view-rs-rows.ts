/** Rows of the authors' files of TopViewRS: their fields are named by who has the files. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import {
  invalidRow,
  type MediaFinder,
  type ProblemListener,
  questionsOf,
  readTable,
  type TableRow,
} from '@spatialsv/core/benchmarks';
import { type BenchmarkQuestionV1, SpatialError } from '@spatialsv/core/spec';
import { kitQuestion } from './kit-table.js';

/** Our names of the fields; `task` and `options` may be absent where rows have none or columns A to D. */
const NEEDED = ['question', 'options', 'answer', 'image', 'task'] as const;
type Field = (typeof NEEDED)[number];
type Fields = Readonly<Record<Field, string>>;

interface ReleasedOptions {
  readonly fields: Readonly<Record<string, string>> | undefined;
  readonly media: MediaFinder;
  readonly onProblem: ProblemListener;
}

/**
 * Questions of a file, and of the one of the other kind of map beside it.
 * @throws SpatialError USAGE without names of fields, with those that the first row has.
 */
export async function* releasedQuestions(
  file: string,
  { fields, media, onProblem }: ReleasedOptions,
): AsyncGenerator<BenchmarkQuestionV1> {
  const named = await requireFields(file, fields, onProblem);
  const both = ['realistic', 'semantic'].map((split) => ({
    split,
    place: path.join(path.dirname(file), `released_${split}_datasets.json`),
  }));
  for (const { split, place } of both) {
    if (!existsSync(place)) continue;
    let index = 0;
    const make = async (row: TableRow) => {
      index += 1;
      const facts = {
        id: `${split}/${index}`,
        category: textAt(row, named.task),
        maxNewTokens: 20,
      };
      const image = await media.image(textAt(row, named.image), row.place);
      return kitQuestion(asKitRow(row, named), [image], { ...facts, details: { split } });
    };
    yield* questionsOf(readTable(place, onProblem), make, onProblem);
  }
}

async function requireFields(
  file: string,
  fields: ReleasedOptions['fields'] = {},
  onProblem: ProblemListener,
): Promise<Fields> {
  const missing = NEEDED.filter((name) => fields[name] === undefined);
  if (missing.length === 0) return fields as Fields;
  const [first] = await firstRows(file, onProblem);
  const found = first === undefined ? 'no row' : Object.keys(first.value).join(', ');
  throw new SpatialError({
    code: 'USAGE',
    message: `${file}: expected names of the fields ${missing.join(', ')}; the first row has ${found}`,
    hint: `Add --field ${NEEDED.map((name) => `${name}=…`).join(',')} with names of the file, or take TopViewRS.tsv of the public evaluation kit.`,
  });
}

async function firstRows(file: string, onProblem: ProblemListener): Promise<readonly TableRow[]> {
  for await (const row of readTable(file, onProblem)) return [row];
  return [];
}

const LETTERS = ['A', 'B', 'C', 'D', 'E', 'F'];

/** The row with the columns of the kit's table. An answer may be a letter or the text of an option. */
function asKitRow(row: TableRow, fields: Fields): TableRow {
  const listed = row.value[fields.options];
  if (!Array.isArray(listed) || listed.length < 2 || listed.length > LETTERS.length) {
    throw invalidRow(
      row.place,
      `field '${fields.options}': expected a list of 2 to ${LETTERS.length} options`,
      'Take the published file, and name its list of options with --field options=….',
    );
  }
  const options = listed.map((option) => String(option).replace(/^[A-F][.)]\s+/, ''));
  const said = textAt(row, fields.answer).trim();
  const place = options.findIndex((option) => option.toLowerCase() === said.toLowerCase());
  const answer = place === -1 ? said : LETTERS[place];
  const columns = Object.fromEntries(options.map((option, i) => [LETTERS[i]!, option]));
  return {
    ...row,
    value: { question: textAt(row, fields.question), ...columns, answer },
  };
}

function textAt(row: TableRow, name: string): string {
  const value = row.value[name];
  if (typeof value === 'string' && value !== '') return value;
  throw invalidRow(row.place, `field '${name}': expected a text`, 'Check the names of --field.');
}
