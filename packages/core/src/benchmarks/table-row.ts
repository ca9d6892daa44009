import type { JsonLine } from '../data/json-lines.js';
import { SpatialError } from '../errors.js';

export type { ProblemListener } from '../data/json-lines.js';

/** One row of a table, with where it stands: a line of a text file, a row of another one. */
export type TableRow = JsonLine;

export const invalidRow = (place: string, problem: string, hint: string, cause?: unknown) =>
  new SpatialError({
    code: 'DATA_INVALID',
    message: `${place}: ${problem}`,
    hint,
    ...(cause !== undefined && { cause }),
  });

/** How much of a value an error shows. */
const SHOWN = 60;

/** The value of a column as text; numbers and booleans are written out. @throws SpatialError DATA_INVALID. */
export function textOf({ value, place }: TableRow, column: string): string {
  const found = value[column];
  if (typeof found === 'string' && found !== '') return found;
  if (typeof found === 'number' || typeof found === 'boolean') return String(found);
  throw invalidRow(
    place,
    `column '${column}': expected a text, found ${describeValue(found)}`,
    `Columns here: ${Object.keys(value).slice(0, 20).join(', ')}.`,
  );
}

/** A list of texts. @throws SpatialError DATA_INVALID. */
export function textsOf({ value, place }: TableRow, column: string): readonly string[] {
  const found = value[column];
  if (Array.isArray(found) && found.every((text) => typeof text === 'string')) return found;
  throw invalidRow(
    place,
    `column '${column}': expected a list of texts, found ${describeValue(found)}`,
    'Take the file as its authors published it.',
  );
}

export function describeValue(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  const text = JSON.stringify(value) ?? typeof value;
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
}
