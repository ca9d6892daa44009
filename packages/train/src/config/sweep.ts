import { dirname, join } from 'node:path';
import { explainIssues, keysBelow, readText, readYaml, resolvePath } from '@spatialsv/core';
import { stringify } from 'yaml';
import { z } from 'zod';
import { parseTrainConfig } from './load-config.js';
import type { TrainConfig } from './schema.js';

const MAX_SWEEP_BYTES = 1 << 22;

const keys = z.record(z.string(), z.unknown());

/** Arms are names of folders. */
const ARM_NAME = "expected a name of letters, digits, '_', '.' and '-'";

const sweepSchema = z.strictObject({
  /** Training configuration that the arms are variations of: a file, or its keys. */
  base: z.union([z.string().min(1), keys]),
  /** Keys of a training configuration by name of the arm. */
  arms: z
    .record(z.string().regex(/^\w[\w.-]*$/, ARM_NAME), keys)
    .refine((arms) => Object.keys(arms).length > 0, { message: 'expected at least one arm' }),
  seeds: z
    .array(z.int().min(0))
    .min(1)
    .refine((seeds) => new Set(seeds).size === seeds.length, {
      message: 'expected different numbers',
    })
    .default([0]),
  /** Folder of all runs. */
  out: z.string().min(1),
});

/** One run of a sweep. */
export interface SweepRun {
  readonly arm: string;
  readonly seed: number;
  readonly config: TrainConfig;
}

/** Every arm with every seed. */
export interface Sweep {
  /** Folder of all runs. */
  readonly out: string;
  readonly runs: readonly SweepRun[];
}

/**
 * Reads a sweep: arms that change keys of a base, and seeds. The run of an arm and a seed has the folder `<out>/<arm>/seed-<seed>`.
 * @throws SpatialError FILE_MISSING; CONFIG_INVALID for a wrong file, or naming the arm whose configuration is wrong.
 */
export async function loadSweep(file: string): Promise<Sweep> {
  const { base, arms, seeds, out } = parseSweep(await readText(file, MAX_SWEEP_BYTES), file);
  const folder = dirname(file);
  const baseFile = typeof base === 'string' ? resolvePath(folder, base) : file;
  const common = typeof base === 'string' ? await readKeys(baseFile) : base;
  const target = resolvePath(folder, out);
  const runs = Object.entries(arms).flatMap(([arm, changes]) =>
    seeds.map((seed) => {
      const run = { seed, out: join(target, arm, `seed-${seed}`) };
      const text = stringify({ ...mergeKeys(common, changes), ...run });
      // Paths of an arm are relative to the file of the base, as its own are.
      return { arm, seed, config: parseTrainConfig(text, baseFile, `${file}: arm '${arm}'`) };
    }),
  );
  return { out: target, runs };
}

function parseSweep(text: string, file: string): z.output<typeof sweepSchema> {
  const yaml = readYaml(text, file);
  const result = sweepSchema.safeParse(yaml.value ?? {});
  if (result.success) return result.data;
  throw explainIssues(result.error, {
    ...{ file, yaml },
    keysAt: (path) => keysBelow(sweepSchema, path),
    hint: 'A sweep has base (a training configuration), arms (keys by name), seeds and out: docs/training.md, Sweeps.',
  });
}

async function readKeys(file: string): Promise<Keys> {
  const { value } = readYaml(await readText(file, MAX_SWEEP_BYTES), file);
  return keys.parse(value ?? {});
}

type Keys = Readonly<Record<string, unknown>>;

const isKeys = (value: unknown): value is Keys =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The base with the keys of an arm: keys below a key are merged, lists and values replaced. */
function mergeKeys(base: Keys, changes: Keys): Keys {
  const merged = Object.entries(changes).map(([key, value]) => {
    const before = base[key];
    return [key, isKeys(before) && isKeys(value) ? mergeKeys(before, value) : value] as const;
  });
  return { ...base, ...Object.fromEntries(merged) };
}
