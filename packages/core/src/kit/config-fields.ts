import { SpatialError } from '../errors.js';
import { isJsonObject, type JsonObject } from '../json.js';

/** Error about one field of a configuration file. */
export const invalidField = (where: string, expected: string, found: unknown): SpatialError =>
  new SpatialError({
    code: 'CONFIG_INVALID',
    message: `${where}: expected ${expected}, found ${found === undefined ? 'nothing' : JSON.stringify(found)}`,
    hint: 'Use the configuration files published with the checkpoint, unedited.',
  });

/** Typed reading of one JSON object; every error names the file and the path of the field. */
export interface ConfigFields {
  readonly where: string;
  readonly object: JsonObject;
  has(key: string): boolean;
  integer(key: string, fallback?: number): number;
  positive(key: string, fallback?: number): number;
  boolean(key: string, fallback: boolean): boolean;
  integers(key: string, fallback?: readonly number[]): readonly number[];
  numbers(key: string, fallback: readonly number[]): readonly number[];
  /** The nested object, or undefined when the key is absent or null. */
  child(key: string): ConfigFields | undefined;
  /** The nested object; where the key is absent or null, `absent` stands for it. */
  section(key: string, absent?: JsonObject): ConfigFields;
  /** Refuses every value but the listed ones; absent counts as the first. */
  require(key: string, allowed: readonly unknown[]): void;
  /** Refuses a value of the field that is no multiple of `factor`. @returns the value. */
  multiple(key: string, value: number, factor: number): number;
}

/** @param where path of the file and of the object in it, for messages. */
export function configFields(object: JsonObject, where: string): ConfigFields {
  const at = (key: string) => `${where}.${key}`;
  const value = (key: string) => object[key] ?? undefined;
  const check = <T>(
    key: string,
    fallback: T | undefined,
    what: string,
    ok: (v: unknown) => boolean,
  ): T => {
    const found = value(key) ?? fallback;
    if (!ok(found)) throw invalidField(at(key), what, found);
    return found as T;
  };
  const isPositive = (v: unknown) => typeof v === 'number' && Number.isFinite(v) && v > 0;
  const isInteger = (v: unknown) => Number.isSafeInteger(v) && (v as number) >= 0;
  const isList = (ok: (v: unknown) => boolean) => (v: unknown) => Array.isArray(v) && v.every(ok);
  const child = (key: string): ConfigFields | undefined => {
    const nested = value(key);
    if (nested === undefined) return undefined;
    if (!isJsonObject(nested)) throw invalidField(at(key), 'an object', nested);
    return configFields(nested, at(key));
  };
  return {
    where,
    object,
    child,
    section: (key, absent = {}) => child(key) ?? configFields(absent, at(key)),
    has: (key) => value(key) !== undefined,
    integer: (key, fallback) => check(key, fallback, 'a whole number', isInteger),
    positive: (key, fallback) => check(key, fallback, 'a positive number', isPositive),
    boolean: (key, fallback) =>
      check(key, fallback, 'true or false', (v) => typeof v === 'boolean'),
    integers: (key, fallback) =>
      check<readonly number[]>(key, fallback, 'a list of whole numbers', isList(isInteger)),
    numbers: (key, fallback) =>
      check<readonly number[]>(
        key,
        fallback,
        'a list of numbers',
        isList((v) => typeof v === 'number'),
      ),
    require: (key, allowed) => {
      const found = value(key) ?? allowed[0];
      if (allowed.includes(found)) return;
      throw invalidField(at(key), allowed.map((v) => JSON.stringify(v)).join(' or '), found);
    },
    multiple: (key, number, factor) => {
      if (number % factor === 0) return number;
      throw invalidField(at(key), `a multiple of ${factor}`, number);
    },
  };
}
