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
  const expected = 'a list of at least one string';
  if (!Array.isArray(value) || value.length === 0) throw fieldError(row, name, expected, value);
  const wrong = value.findIndex((item) => typeof item !== 'string' || item === '');
  if (wrong < 0) return value;
  throw fieldError(row, `${name}[${wrong}]`, 'a non-empty string', value[wrong]);
}

/** Option letter → text. @throws SpatialError DATA_INVALID. */
export function optionsField(row: JsonLine, name: string): Readonly<Record<string, string>> {
  const value = row.value[name];
  const expected = 'an object such as {"A": "left", "B": "right"}';
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw fieldError(row, name, expected, value);
  const entries = Object.entries(value as Record<string, unknown>);
  if (entries.length === 0) throw fieldError(row, name, expected, value);
  for (const [key, text] of entries) {
    if (!/^[A-Z]$/.test(key)) throw fieldError(row, name, 'a capital letter for each option', key);
    if (typeof text !== 'string') throw fieldError(row, `${name}.${key}`, 'a string', text);
  }
  return Object.fromEntries(entries) as Record<string, string>;
}

const SHOWN = 80;

/** @param name of the field itself that is wrong, so that a value which is cut still shows it: `options.C`. */
export function fieldError(
  row: JsonLine,
  name: string,
  expected: string,
  found: unknown,
): SpatialError {
  const text = found === undefined ? 'nothing' : (JSON.stringify(found) ?? typeof found);
  const shown = text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
  return new SpatialError({
    code: 'DATA_INVALID',
    message: `${row.place}: field '${name}': expected ${expected}, found ${shown}`,
    hint: `Correct '${name}' in this row; docs/datasets.md lists the fields of each format.`,
  });
}
