import { createReadStream } from 'node:fs';
import { SpatialError } from '../errors.js';
import { resolveFile } from '../files.js';
import { invalidRow, type ProblemListener, type TableRow } from './table-row.js';

/** Longer rows hold no image that could be meant: a quote without an end swallows the rest of its file. */
const LARGEST_ROW = 256 * 2 ** 20;

/**
 * Reads a table of tab- or comma-separated cells row by row, quoted line breaks included, with the memory of a few rows.
 * The first row names the columns.
 * @param onProblem takes the errors of single rows; the first one is thrown where absent.
 * @throws SpatialError FILE_MISSING, DATA_INVALID.
 */
export async function* readDelimited(
  path: string,
  delimiter: '\t' | ',',
  onProblem?: ProblemListener,
): AsyncGenerator<TableRow> {
  await resolveFile(path, 'Check the path.');
  const { parse } = await import('csv-parse');
  const problems: SpatialError[] = [];
  const rows = createReadStream(path).pipe(
    parse({
      delimiter,
      bom: true,
      columns: true,
      info: true,
      relax_quotes: true,
      max_record_size: LARGEST_ROW,
      skip_empty_lines: true,
      skip_records_with_error: true,
      on_skip: (error) => {
        problems.push(rowProblem(path, error));
        return undefined;
      },
    }),
  );
  try {
    for await (const { record, info } of rows as AsyncIterable<ParsedRow>) {
      for (const problem of problems.splice(0)) report(problem, onProblem);
      const line = info.lines;
      yield { value: record, line, place: `${path}:${line}` };
    }
  } catch (cause) {
    throw SpatialError.isInstance(cause) ? cause : rowProblem(path, cause as Error);
  }
  for (const problem of problems) report(problem, onProblem);
}

interface ParsedRow {
  readonly record: Readonly<Record<string, unknown>>;
  /** Lines read so far. */
  readonly info: { readonly lines: number };
}

function report(problem: SpatialError, onProblem: ProblemListener | undefined): void {
  if (onProblem === undefined) throw problem;
  onProblem(problem);
}

function rowProblem(path: string, error: Error | undefined): SpatialError {
  const { code = '', lines } = (error ?? {}) as { code?: string; lines?: number };
  const line = lines === undefined ? '' : `:${lines}`;
  const why = REASONS[code] ?? 'cannot be read as a table';
  return invalidRow(
    `${path}${line}`,
    why,
    'Cells with tabs, quotes or line breaks stand in double quotes, with inner quotes doubled.',
    error,
  );
}

const REASONS: Readonly<Record<string, string>> = {
  CSV_RECORD_INCONSISTENT_COLUMNS: 'expected as many cells as there are column names',
  CSV_RECORD_INCONSISTENT_FIELDS_LENGTH: 'expected as many cells as in the rows before',
  CSV_QUOTE_NOT_CLOSED: 'a quoted cell has no end',
  CSV_MAX_RECORD_SIZE: 'a row is larger than 256 MiB: probably a quoted cell without an end',
};
