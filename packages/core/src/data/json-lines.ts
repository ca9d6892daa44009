import { SpatialError } from '../errors.js';
import { decodeText } from './decode-text.js';
import { parseRow } from './parse-row.js';
import { type RecordText, splitRecords } from './split-records.js';

/** One parsed row of a JSON file, with where it stands. */
export interface JsonLine {
  readonly value: Readonly<Record<string, unknown>>;
  /** 1-based. */
  readonly line: number;
  /** `file:line`, for messages. */
  readonly place: string;
}

/** Told of a row that cannot be read, which is then passed over. */
export type ProblemListener = (problem: SpatialError) => void;

/**
 * Reads a file of JSON objects row by row: JSON Lines, or one JSON array, as UTF-8 or UTF-16. Blank lines are skipped.
 * @param onProblem takes the errors of single rows; the first one is thrown where absent.
 * @throws SpatialError FILE_MISSING, or DATA_INVALID naming file and line.
 */
export async function* readJsonLines(
  path: string,
  onProblem?: ProblemListener,
): AsyncGenerator<JsonLine> {
  for await (const record of splitRecords(decodeText(path), path)) {
    const row = tolerate(onProblem, () => parseLine(record, path));
    if (row !== undefined) yield row;
  }
}

/** @returns what `work` returns; undefined where its error went to the listener. */
export function tolerate<Result>(
  onProblem: ProblemListener | undefined,
  work: () => Result,
): Result | undefined {
  try {
    return work();
  } catch (error) {
    if (onProblem === undefined || !SpatialError.isInstance(error)) throw error;
    onProblem(error);
    return undefined;
  }
}

function parseLine({ text, line }: RecordText, path: string): JsonLine {
  const parsed = parseRow(text);
  if ('value' in parsed) return { value: parsed.value, line, place: `${path}:${line}` };
  throw new SpatialError({
    code: 'DATA_INVALID',
    message: `${path}:${line + parsed.line}: ${parsed.problem}`,
    hint: 'Rows are JSON objects: one a line, or the elements of one list. `jq -c . IN > OUT` writes an object over several lines as one.',
  });
}
