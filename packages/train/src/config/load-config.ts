import { dirname, resolve } from 'node:path';
import {
  headsConfigSchema,
  nearestName,
  readText,
  readYaml,
  resolvePath,
  SpatialError,
  type YamlText,
} from '@spatialsv/core';
import { type Document, isMap, isNode, isScalar } from 'yaml';
import { z } from 'zod';
import { type TrainConfig, trainConfigSchema } from './schema.js';

const MAX_CONFIG_BYTES = 1 << 22;

/**
 * Reads a training configuration. Defaults are filled in and relative paths resolved against the file's folder.
 * @throws SpatialError FILE_MISSING, or CONFIG_INVALID naming file, line, key and, for an unknown key, the nearest known one.
 */
export async function loadTrainConfig(path: string): Promise<TrainConfig> {
  return parseTrainConfig(await readText(path, MAX_CONFIG_BYTES), path);
}

/** {@link loadTrainConfig} from text; `path` is what messages name and relative paths start from. */
export function parseTrainConfig(text: string, path: string): TrainConfig {
  const yaml = readYaml(text, path);
  const result = trainConfigSchema.safeParse(yaml.value ?? {});
  if (result.success) return resolvePaths(result.data, dirname(resolve(path)));
  throw describe(result.error, yaml, path);
}

const KEYS_HINT = 'docs/training.md lists every key with its type and default.';

function resolvePaths(config: TrainConfig, folder: string): TrainConfig {
  const at = (path: string) => resolvePath(folder, path);
  return {
    ...config,
    model: at(config.model),
    out: at(config.out),
    source: resolveSource(config.source, at),
    ...(config.secondTeacher && { secondTeacher: resolveSource(config.secondTeacher, at) }),
    ...(config.featureCache === undefined ? {} : { featureCache: at(config.featureCache) }),
    data: config.data.map((dataset) => resolveDataset(dataset, at)),
    ...(config.evaluation && {
      evaluation: {
        ...config.evaluation,
        data: config.evaluation.data.map((dataset) => resolveDataset(dataset, at)),
      },
    }),
  };
}

type Dataset = TrainConfig['data'][number];

const resolveDataset = (dataset: Dataset, at: (path: string) => string): Dataset => ({
  ...dataset,
  path: at(dataset.path),
  ...(dataset.imageRoot === undefined ? {} : { imageRoot: at(dataset.imageRoot) }),
});

function resolveSource<Source extends { weights?: string | undefined; store?: string | undefined }>(
  source: Source,
  at: (path: string) => string,
): Source {
  const { weights, store } = source;
  return {
    ...source,
    ...(weights !== undefined && { weights: at(weights) }),
    ...(store !== undefined && { store: at(store) }),
  };
}

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

function describe(error: z.ZodError, yaml: YamlText, path: string): SpatialError {
  const told = error.issues.map((issue) => {
    const where = issue.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0]!] : issue.path;
    const line = lineOf(yaml, where);
    return `${path}${line === undefined ? '' : `:${line}`}: ${explain(issue, yaml.document)}`;
  });
  return invalid(undefined, told.join('\n'), KEYS_HINT);
}

function explain(issue: Issue, document: Document): string {
  const name = dotted(issue.path);
  if (issue.code === 'unrecognized_keys') return unknownKeys(issue.keys, issue.path);
  const found = document.getIn([...issue.path]);
  if (issue.code === 'invalid_type' && found === undefined) {
    return `'${name}' is missing (expected ${issue.expected})`;
  }
  return `'${name}': ${issue.message}, found ${JSON.stringify(isNode(found) ? found.toJSON() : found)}`;
}

function unknownKeys(keys: readonly string[], path: Path): string {
  const known = knownKeys(path);
  const told = keys.map((key) => {
    const near = nearestName(known, key);
    const full = dotted([...path, key]);
    return near === undefined
      ? `unknown key '${full}' (known here: ${known.join(', ')})`
      : `unknown key '${full}', did you mean '${near}'?`;
  });
  return told.join('; ');
}

const dotted = (path: Path): string => path.map(String).join('.') || 'the file';

/** Keys that the schema knows at a path. */
function knownKeys(path: Path): readonly string[] {
  if (path[0] === 'heads') return ['type', ...keysBelow(headsConfigSchema, path.slice(1))];
  return keysBelow(trainConfigSchema, path);
}

function keysBelow(from: z.core.$ZodType, path: Path): readonly string[] {
  let schema = from;
  for (const step of path) schema = child(unwrap(schema), step);
  const inner = unwrap(schema);
  return inner instanceof z.ZodObject ? Object.keys(inner.shape) : [];
}

function child(schema: z.core.$ZodType, step: PropertyKey): z.core.$ZodType {
  if (schema instanceof z.ZodObject) return schema.shape[step as string];
  if (schema instanceof z.ZodArray) return schema.element;
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

function lineOf(yaml: YamlText, path: Path): number | undefined {
  for (let length = path.length; length > 0; length--) {
    const offset = keyOffset(yaml.document, path.slice(0, length));
    if (offset !== undefined) return yaml.lineOf(offset);
  }
  return undefined;
}

/** Where the last key of `path` (or the item, in a list) starts. */
function keyOffset(document: Document, path: Path): number | undefined {
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

function invalid(place: string | undefined, what: string, hint: string): SpatialError {
  const message = place === undefined ? what : `${place}: ${what}`;
  return new SpatialError({ code: 'CONFIG_INVALID', message, hint });
}
