import { SpatialError } from '../errors.js';
import type { JsonLine } from './json-lines.js';

/** Required string field of a row. @throws SpatialError DATA_INVALID. */
export function stringField(row: JsonLine, name: string): string {
  const value = row.value[name];
  if (typeof value === 'string' && value !== '') return value;
  throw fieldError(row, name, 'a non-empty string', value);
}

/** Optional string field of a row; null counts as absent. @throws SpatialError DATA_INVALID. */
export function optionalStringField(row: JsonLine, name: string): string | undefined {
  const value = row.value[name];
  return value === undefined || value === null ? undefined : stringField(row, name);
}

/** Required list of at least one string. @throws SpatialError DATA_INVALID. */
export function stringListField(row: JsonLine, name: string): readonly string[] {
  const value = row.value[name];
  const valid =
    Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'string');
  if (valid) return value;
  throw fieldError(row, name, 'a list of at least one string', value);
}

/** Option letter → text. @throws SpatialError DATA_INVALID. */
export function optionsField(row: JsonLine, name: string): Readonly<Record<string, string>> {
  const value = row.value[name];
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw fieldError(row, name, 'an object such as {"A": "left", "B": "right"}', value);
  }
  const entries = Object.entries(value as Record<string, unknown>);
  const valid = entries.every(([key, text]) => /^[A-Z]$/.test(key) && typeof text === 'string');
  if (valid && entries.length > 0) return Object.fromEntries(entries) as Record<string, string>;
  throw fieldError(row, name, 'capital letters mapped to option texts', value);
}

export function fieldError(
  row: JsonLine,
  name: string,
  expected: string,
  found: unknown,
): SpatialError {
  const shown = found === undefined ? 'nothing' : JSON.stringify(found)?.slice(0, 80);
  return new SpatialError({
    code: 'DATA_INVALID',
    message: `${row.place}: field '${name}': expected ${expected}, found ${shown}`,
    hint: `Correct '${name}' in this line; docs/datasets.md lists the fields of each format.`,
  });
}
