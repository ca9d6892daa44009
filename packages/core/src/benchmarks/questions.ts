/** From the files of a benchmark to its questions. */
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { SpatialError } from '../errors.js';
import type { BenchmarkQuestionV1 } from '../spec.js';
import { invalidRow, type ProblemListener, type TableRow } from './table-row.js';

/**
 * Questions of rows. A row that makes none is reported and left out, as is one whose id was there before.
 * @param make the question of a row; undefined for a row that is none. Throws SpatialError for a row that is wrong.
 */
export async function* questionsOf(
  rows: AsyncIterable<TableRow>,
  make: (
    row: TableRow,
  ) => Promise<BenchmarkQuestionV1 | undefined> | BenchmarkQuestionV1 | undefined,
  onProblem: ProblemListener,
): AsyncGenerator<BenchmarkQuestionV1> {
  const places = new Map<string, string>();
  for await (const row of rows) {
    try {
      const question = await make(row);
      if (question === undefined) continue;
      const before = places.get(question.id);
      if (before !== undefined) throw repeated(row.place, question.id, before);
      places.set(question.id, row.place);
      yield question;
    } catch (error) {
      if (!SpatialError.isInstance(error)) throw error;
      onProblem(error);
    }
  }
}

const repeated = (place: string, id: string, before: string) =>
  invalidRow(place, `id '${id}' was already used at ${before}`, 'Ids are unique in a benchmark.');

/**
 * The file with the questions: `root` itself where it is a file, else the first of `names` below it, letter case aside.
 * @throws SpatialError FILE_MISSING with what was looked for.
 */
export async function findQuestions(
  root: string,
  names: readonly string[],
  hint: string,
): Promise<string> {
  const found = await stat(root).catch(() => undefined);
  if (found?.isFile()) return root;
  for (const name of names) {
    const file = await fileBelow(root, name.split('/'));
    if (file !== undefined) return file;
  }
  throw new SpatialError({
    code: 'FILE_MISSING',
    message: `${root}: no questions found (looked for ${names.join(', ')})`,
    hint,
  });
}

async function fileBelow(
  folder: string,
  [name, ...rest]: readonly string[],
): Promise<string | undefined> {
  const entries: string[] = await readdir(folder).catch(() => []);
  const entry = entries.includes(name!)
    ? name
    : entries.find((each) => each.toLowerCase() === name!.toLowerCase());
  if (entry === undefined) return undefined;
  const file = path.join(folder, entry);
  if (rest.length > 0) return fileBelow(file, rest);
  return (await stat(file)).isFile() ? file : undefined;
}

/**
 * Folder of the benchmark: the one that was named, or that of the file that was named.
 * @throws SpatialError FILE_MISSING.
 */
export async function folderOf(root: string): Promise<string> {
  const found = await stat(root).catch(() => undefined);
  if (found !== undefined) return found.isFile() ? path.dirname(root) : root;
  throw new SpatialError({
    code: 'FILE_MISSING',
    message: `${root}: expected a folder or file of a benchmark, found nothing`,
    hint: 'Check the path.',
  });
}
