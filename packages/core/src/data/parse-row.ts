import { type ParseError, parse, printParseErrorCode } from 'jsonc-parser';

/** Deepest nesting of a row. */
const MAX_DEPTH = 64;

export type ParsedRow =
  | { readonly value: Readonly<Record<string, unknown>> }
  /** What is wrong, and the line of it within the row (0-based). */
  | { readonly problem: string; readonly line: number };

/**
 * Parses the JSON object of a row. `NaN` and `Infinity`, which Python writes for values that are missing, count as null. What is
 * wrong is told by its place: contents are not quoted.
 */
export function parseRow(text: string): ParsedRow {
  const value = parseJson(text) ?? parseJson(withoutNan(text));
  if (value === undefined) return findProblem(text);
  const found = value.value;
  if (typeof found !== 'object' || found === null || Array.isArray(found))
    return { problem: `expected a JSON object, found ${describe(found)}`, line: 0 };
  if (isDeeper(found, MAX_DEPTH))
    return { problem: `expected at most ${MAX_DEPTH} levels of nesting, found more`, line: 0 };
  return { value: found as Record<string, unknown> };
}

function parseJson(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

/** Outside of strings, which are matched first and stay. */
const withoutNan = (text: string): string =>
  text.replace(/"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b/g, (found) =>
    found.startsWith('"') ? found : 'null',
  );

function findProblem(text: string): ParsedRow {
  const { error, offset } = firstError(text);
  const before = text.slice(0, offset).split('\n');
  const column = before.at(-1)!.length + 1;
  const name = error === undefined ? 'invalid text' : words(printParseErrorCode(error));
  return { problem: `not valid JSON at column ${column} (${name})`, line: before.length - 1 };
}

function firstError(text: string): {
  readonly error?: ParseError['error'];
  readonly offset: number;
} {
  const errors: ParseError[] = [];
  try {
    parse(text, errors, { disallowComments: true });
  } catch {
    // Nested so deeply that the stack ends.
  }
  return errors[0] ?? { offset: 0 };
}

/** `CommaExpected` → `comma expected`. */
const words = (name: string): string =>
  name.replace(/(?<!^)[A-Z]/g, (letter) => ` ${letter}`).toLowerCase();

const describe = (value: unknown): string =>
  value === null ? 'null' : Array.isArray(value) ? 'a list' : `a ${typeof value}`;

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  return Object.values(value).some((inner) => isDeeper(inner, levels - 1));
}
