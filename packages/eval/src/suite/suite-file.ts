import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  explainIssues,
  keysBelow,
  nearestName,
  readText,
  readYaml,
  resolvePath,
  SpatialError,
} from '@spatialsv/core';
import { PRECISIONS } from '@spatialsv/engine';
import { z } from 'zod';

const MAX_SUITE_BYTES = 1 << 20;

/** Names of lines and columns are names of folders too. */
const name = z.string().regex(/^[\w+][\w .+()-]*$/, {
  message: 'expected letters, digits, spaces, and . + - ( )',
});

const modelSchema = z.union(
  [
    z
      .string()
      .min(1)
      .transform((model) => ({ model })),
    z.strictObject({
      model: z.string().min(1),
      minPixels: z.int().min(1).exactOptional(),
      maxPixels: z.int().min(1).exactOptional(),
      /** Settings of the family by key. */
      set: z.record(z.string(), z.coerce.string()).exactOptional(),
    }),
  ],
  { error: 'expected a folder, or `model` with its settings' },
);

const benchmarkSchema = z.strictObject({
  data: z.string().min(1),
  /** Id of the benchmark; its name in the suite where absent. */
  benchmark: z.string().min(1).exactOptional(),
  variant: z.string().min(1).exactOptional(),
  frames: z.int().min(1).exactOptional(),
  imageRoot: z.string().min(1).exactOptional(),
  /** What the files call a field, by the benchmark's own name for it. */
  field: z.record(z.string(), z.string()).exactOptional(),
  limit: z.int().min(1).exactOptional(),
});

const tableSchema = z.strictObject({
  title: z.string().min(1),
  benchmarks: z.array(z.string()).min(1),
  /** `all` columns of each benchmark, or its `overall` figure alone. */
  columns: z.enum(['all', 'overall']).default('all'),
  /** Lines of guessing before those of the models. */
  chance: z.boolean().default(false),
  /** A last column: the mean of the overall figures, taken before rounding. */
  average: z.boolean().default(false),
});

const suiteSchema = z.strictObject({
  models: z.record(name, modelSchema).refine((models) => Object.keys(models).length > 0, {
    message: 'expected at least one model',
  }),
  benchmarks: z.record(name, benchmarkSchema).refine((all) => Object.keys(all).length > 0, {
    message: 'expected at least one benchmark',
  }),
  tables: z.array(tableSchema).min(1).optional(),
  /** Folder of all runs. */
  out: z.string().min(1),
  seed: z.int().min(0).default(0),
  device: z.string().default('cpu'),
  /** That of the device where absent. */
  precision: z.enum(PRECISIONS).exactOptional(),
  maxNewTokens: z.int().min(1).exactOptional(),
  weightPolicy: z.enum(['auto', 'mapped', 'float32']).default('auto'),
});

type SuiteContent = z.output<typeof suiteSchema>;

/** A table of a suite. */
export type SuiteTable = z.output<typeof tableSchema>;

/** One model on one benchmark. */
export interface SuiteRun {
  readonly model: string;
  readonly benchmark: string;
  readonly options: SuiteContent['models'][string] &
    Omit<SuiteContent['benchmarks'][string], 'benchmark'> &
    Pick<SuiteContent, 'seed' | 'device' | 'precision' | 'maxNewTokens' | 'weightPolicy'> & {
      readonly benchmark: string;
      readonly out: string;
    };
}

/** Every model on every benchmark, and the tables of them. */
export interface Suite {
  readonly out: string;
  readonly models: readonly string[];
  readonly runs: readonly SuiteRun[];
  readonly tables: readonly SuiteTable[];
}

/**
 * Reads a suite. Paths start at its file; the run of a model on a benchmark has the folder `<out>/<model>/<benchmark>`.
 * @throws SpatialError FILE_MISSING for the file, a model or data that is not there; CONFIG_INVALID for a wrong file.
 */
export async function loadSuite(file: string): Promise<Suite> {
  const content = parse(await readText(file, MAX_SUITE_BYTES), file);
  const folder = dirname(file);
  const { seed, device, precision, maxNewTokens, weightPolicy } = content;
  const common = {
    seed,
    device,
    weightPolicy,
    ...(precision !== undefined && { precision }),
    ...(maxNewTokens !== undefined && { maxNewTokens }),
  };
  const out = resolvePath(folder, content.out);
  const runs = Object.entries(content.models).flatMap(([model, settings]) =>
    Object.entries(content.benchmarks).map(([benchmark, { data, imageRoot, ...rest }]) => ({
      model,
      benchmark,
      options: {
        ...common,
        ...settings,
        ...rest,
        model: found(resolvePath(folder, settings.model), `${file}: models.${model}`),
        data: found(resolvePath(folder, data), `${file}: benchmarks.${benchmark}.data`),
        ...(imageRoot !== undefined && { imageRoot: resolvePath(folder, imageRoot) }),
        benchmark: rest.benchmark ?? benchmark,
        out: join(out, model, benchmark),
      },
    })),
  );
  return { out, models: Object.keys(content.models), runs, tables: tablesOf(content, file) };
}

function parse(text: string, file: string): SuiteContent {
  const yaml = readYaml(text, file);
  const result = suiteSchema.safeParse(yaml.value ?? {});
  if (result.success) return result.data;
  throw explainIssues(result.error, {
    ...{ file, yaml },
    keysAt: (path) => keysBelow(suiteSchema, path),
    hint: 'A suite has models (folders by name), benchmarks (data by id), out, and tables where wanted: docs/evaluation.md, Suites.',
  });
}

/** What is not there is said before the first model answers. */
function found(path: string, where: string): string {
  if (existsSync(path)) return path;
  throw new SpatialError({
    code: 'FILE_MISSING',
    message: `${where}: expected a file or folder at ${path}, found nothing`,
    hint: 'Paths start at the file of the suite.',
  });
}

/** Those of the file; without any, every column of every benchmark, and where there are several, their overall figures. */
function tablesOf({ tables, benchmarks }: SuiteContent, file: string): readonly SuiteTable[] {
  const names = Object.keys(benchmarks);
  for (const { title, benchmarks: wanted } of tables ?? [])
    for (const each of wanted) if (!names.includes(each)) throw unknown(file, title, each, names);
  if (tables !== undefined) return tables;
  const each = names.map(
    (benchmark): SuiteTable => ({
      ...{
        title: benchmark,
        benchmarks: [benchmark],
        columns: 'all',
        chance: true,
        average: false,
      },
    }),
  );
  if (names.length === 1) return each;
  const all = { title: 'Overall', benchmarks: names, chance: false, average: true };
  return [...each, { ...all, columns: 'overall' }];
}

function unknown(file: string, title: string, wanted: string, names: readonly string[]) {
  const near = nearestName(names, wanted);
  return new SpatialError({
    code: 'CONFIG_INVALID',
    message: `${file}: table '${title}': expected benchmarks of the suite (${names.join(', ')}), found ${wanted}`,
    hint: near === undefined ? 'Name one of them.' : `Did you mean ${near}?`,
  });
}
