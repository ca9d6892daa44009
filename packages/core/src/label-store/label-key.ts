import { createHash } from 'node:crypto';
import { SpatialError } from '../errors.js';
import type { LabelProvenanceV1 } from '../spec.js';

/** Changes when the same request has to get another key. */
const KEY_VERSION = 1;

export interface LabelKeyRequest {
  /** SHA-256 of the image files in prompt order, lower-case hexadecimal. */
  readonly images: readonly string[];
  readonly provenance: LabelProvenanceV1;
  /** Size that was asked for; absent where the source chooses. */
  readonly height?: number;
  readonly width?: number;
}

/**
 * Key of the labels that a source would make of these images: SHA-256 of the canonical JSON of everything that changes
 * a value. Equal for equal content in any folder; the licence is not part of it.
 * @returns 64 lower-case hexadecimal digits.
 * @throws SpatialError CONFIG_INVALID for settings that are not JSON.
 */
export const labelKey = (request: LabelKeyRequest): string => {
  const { source, model, settings, weightsSha256 } = request.provenance;
  const { images, height, width } = request;
  const content = {
    keyVersion: KEY_VERSION,
    images,
    source,
    model,
    settings,
    weightsSha256,
    height,
    width,
  };
  return createHash('sha256').update(canonicalJson(content)).digest('hex');
};

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
    message: `settings of a label source: expected JSON, found ${String(value)}`,
    hint: 'Settings are finite numbers, strings, booleans, null, lists and plain objects of these.',
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
