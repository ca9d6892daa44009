import { SpatialError } from './errors.js';

/**
 * JSON without white space, keys of every object in the order of their UTF-16 code units, members that are `undefined`
 * left out: equal values give equal text.
 * @throws SpatialError CONFIG_INVALID for anything that JSON cannot hold.
 */
export const canonicalJson = (value: unknown): string => {
  if (typeof value === 'number' && Number.isFinite(value)) return JSON.stringify(value);
  if (value === null || typeof value === 'string' || typeof value === 'boolean')
    return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (isPlainObject(value)) return canonicalObject(value);
  throw new SpatialError({
    code: 'CONFIG_INVALID',
    message: `expected JSON, found ${String(value)}`,
    hint: 'JSON holds finite numbers, strings, booleans, null, lists and plain objects of these.',
  });
};

const canonicalObject = (value: Readonly<Record<string, unknown>>): string => {
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  members.sort(([a], [b]) => (a < b ? -1 : 1));
  const texts = members.map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`);
  return `{${texts.join(',')}}`;
};

/** Also true for objects of another realm. */
const isPlainObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  Object.prototype.toString.call(value) === '[object Object]';
