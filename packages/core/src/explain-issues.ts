/** What is wrong with a file of a user's, by its schema: line, key, expected, found. */
import { type Document, isMap, isNode, isScalar } from 'yaml';
import { z } from 'zod';
import { SpatialError } from './errors.js';
import { nearestName } from './nearest-name.js';
import type { YamlText } from './yaml.js';

type Issue = z.core.$ZodIssue;
/** Keys and indices from the top of a file to a value. */
export type IssuePath = readonly PropertyKey[];

/** Where the text of a file is explained from. */
export interface Explained {
  /** What messages name. */
  readonly file: string;
  readonly yaml: YamlText;
  /** Keys that are known at a path. */
  readonly keysAt: (path: IssuePath) => readonly string[];
  readonly hint: string;
  /** The text was put together: its lines are nobody's. */
  readonly isMade?: boolean;
}

/** What a schema finds wrong with a file: line, key, what was expected and found, and the nearest key to an unknown one. */
export function explainIssues(error: z.ZodError, explained: Explained): SpatialError {
  const { file, yaml, hint, isMade } = explained;
  const told = error.issues.map((issue) => {
    const where = issue.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0]!] : issue.path;
    const line = isMade ? undefined : lineOf(yaml, where);
    return `${file}${line === undefined ? '' : `:${line}`}: ${explain(issue, explained)}`;
  });
  return new SpatialError({ code: 'CONFIG_INVALID', message: told.join('\n'), hint, cause: error });
}

function explain(issue: Issue, { yaml: { document }, keysAt }: Explained): string {
  const name = dotted(issue.path);
  if (issue.code === 'unrecognized_keys')
    return unknownKeys(issue.keys, issue.path, keysAt(issue.path));
  if (issue.code === 'invalid_key')
    return `'${name}': ${issue.issues.map(({ message }) => message).join('; ')}`;
  const found = document.getIn([...issue.path]);
  if (found === undefined) {
    const expected = issue.code === 'invalid_type' ? ` (expected ${issue.expected})` : '';
    return `'${name}' is missing${expected}`;
  }
  const value = JSON.stringify(isNode(found) ? found.toJSON() : found);
  if (issue.path.length === 0) return `expected keys with values, found ${value}`;
  return `'${name}': ${issue.message}, found ${value}`;
}

function unknownKeys(keys: readonly string[], path: IssuePath, known: readonly string[]): string {
  const told = keys.map((key) => {
    const near = nearestName(known, key);
    const full = dotted([...path, key]);
    return near === undefined
      ? `unknown key '${full}' (known here: ${known.join(', ')})`
      : `unknown key '${full}', did you mean '${near}'?`;
  });
  return told.join('; ');
}

const dotted = (path: IssuePath): string => path.map(String).join('.');

/** Keys that a schema knows at a path. */
export function keysBelow(from: z.core.$ZodType, path: IssuePath): readonly string[] {
  let schema = from;
  for (const step of path) schema = child(unwrap(schema), step);
  const inner = unwrap(schema);
  const forms = inner instanceof z.ZodUnion ? inner.options : [inner];
  return forms.flatMap((form) => (form instanceof z.ZodObject ? Object.keys(form.shape) : []));
}

function child(schema: z.core.$ZodType, step: PropertyKey): z.core.$ZodType {
  if (schema instanceof z.ZodObject) return schema.shape[step as string];
  if (schema instanceof z.ZodArray) return schema.element;
  if (schema instanceof z.ZodRecord) return schema.valueType;
  return schema;
}

function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  if (schema instanceof z.ZodPipe) {
    return unwrap(schema.in instanceof z.ZodTransform ? schema.out : schema.in);
  }
  const wrapped =
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodOptional;
  return wrapped ? unwrap(schema.unwrap()) : schema;
}

function lineOf(yaml: YamlText, path: IssuePath): number | undefined {
  for (let length = path.length; length > 0; length--) {
    const offset = keyOffset(yaml.document, path.slice(0, length));
    if (offset !== undefined) return yaml.lineOf(offset);
  }
  return undefined;
}

/** Where the last key of `path` (or the item, in a list) starts. */
function keyOffset(document: Document, path: IssuePath): number | undefined {
  const parent = document.getIn(path.slice(0, -1), true);
  const last = path.at(-1);
  const container = path.length === 1 ? document.contents : parent;
  if (isMap(container)) {
    const pair = container.items.find((item) => isScalar(item.key) && item.key.value === last);
    if (isScalar(pair?.key)) return pair.key.range?.[0];
  }
  const node = document.getIn([...path], true);
  return isNode(node) ? node.range?.[0] : undefined;
}
