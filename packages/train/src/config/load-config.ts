import { stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import {
  explainIssues,
  headsConfigSchema,
  type IssuePath,
  keysBelow,
  readText,
  readYaml,
  resolvePath,
  SpatialError,
} from '@spatialsv/core';
import { type TrainConfig, trainConfigSchema } from './schema.js';

const MAX_CONFIG_BYTES = 1 << 22;

/**
 * Reads a training configuration. Defaults are filled in and relative paths resolved against the file's folder.
 * @throws SpatialError FILE_MISSING, or CONFIG_INVALID naming file, line, key and, for an unknown key, the nearest known one.
 */
export async function loadTrainConfig(path: string): Promise<TrainConfig> {
  await requireNoFolder(path);
  return parseTrainConfig(await readText(path, MAX_CONFIG_BYTES), path);
}

/** Who wants to go on with a run names its folder. */
async function requireNoFolder(path: string): Promise<void> {
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isFolder) return;
  throw new SpatialError({
    code: 'FILE_MISSING',
    message: `${path}: expected a configuration, found a folder`,
    hint: `Name the YAML file. The folder of a run keeps its own: ${join(path, 'config.yaml')}`,
  });
}

/**
 * {@link loadTrainConfig} from text; `path` is what messages name and relative paths start from.
 * @param place what messages name instead, where the text was put together from others.
 */
export function parseTrainConfig(text: string, path: string, place?: string): TrainConfig {
  const yaml = readYaml(text, path);
  const result = trainConfigSchema.safeParse(yaml.value ?? {});
  if (result.success) return resolvePaths(result.data, dirname(resolve(path)));
  const isMade = place !== undefined;
  throw explainIssues(result.error, {
    ...{ file: place ?? path, yaml, keysAt: knownKeys, hint: KEYS_HINT, isMade },
  });
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

/** Keys that the schema knows at a path. */
function knownKeys(path: IssuePath): readonly string[] {
  if (path[0] === 'heads') return ['type', ...keysBelow(headsConfigSchema, path.slice(1))];
  return keysBelow(trainConfigSchema, path);
}
