import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { SpatialError } from '../errors.js';
import { resolveFile, writeFileAtomic } from '../files.js';
import { describeProblem } from '../issues.js';
import { parseJsonText } from '../json.js';
import { nearestName } from '../nearest-name.js';
import {
  float32Source,
  openSafetensors,
  type SafetensorsReader,
  writeSafetensors,
} from '../safetensors/index.js';
import type { ParameterValues } from '../spec.js';
import {
  isLowRankName,
  type LowRankAdapter,
  layerOfWeight,
  lowRankNames,
  lowRankScale,
} from './low-rank.js';
import { moduleNamer } from './module-names.js';

const CONFIG = 'adapter_config.json';
const WEIGHTS = 'adapter_model.safetensors';
/** What PEFT puts before the names of modules. */
const PREFIX = 'base_model.model.';

/** Settings of an adapter that are equal for all of its layers. */
export interface PeftSettings {
  readonly rank: number;
  readonly alpha: number;
  readonly dropout: number;
  /** Folder of the checkpoint that the adapter belongs to. */
  readonly baseModel: string;
}

/**
 * Writes an adapter in the layout of PEFT: `adapter_config.json` and `adapter_model.safetensors`, float32, under the names of
 * the modules of `transformers`. Parameters that were trained as a whole are what PEFT calls modules to save.
 * @param folder is there. @param published names of all weights of the checkpoint.
 */
export async function writePeftAdapter(
  folder: string,
  { updates, replaced }: Pick<LowRankAdapter, 'updates' | 'replaced'>,
  settings: PeftSettings,
  published: readonly string[],
): Promise<void> {
  const moduleName = moduleNamer(published);
  const tensors = Object.entries({ ...updates, ...replaced }).map(
    ([name, { data, shape }]) => [PREFIX + moduleName(name), float32Source(data, shape)] as const,
  );
  await writeSafetensors(path.join(folder, WEIGHTS), new Map(tensors));
  const layers = Object.keys(updates)
    .filter((name) => name.endsWith('.lora_A.weight'))
    .map((name) => moduleName(name.slice(0, -'.lora_A.weight'.length)));
  const saved = new Set(Object.keys(replaced).map((name) => moduleName(moduleOf(name))));
  const config = peftConfig(settings, layers, [...saved]);
  await writeFileAtomic(path.join(folder, CONFIG), `${JSON.stringify(config, null, 2)}\n`);
}

/** `x.weight`, `x.bias` → `x`. */
const moduleOf = (name: string): string => name.slice(0, name.lastIndexOf('.'));

/** Keys as PEFT publishes them. Layers are named in full: parts of names would also fit those of the vision encoder. */
const peftConfig = (
  { rank, alpha, dropout, baseModel }: PeftSettings,
  layers: readonly string[],
  saved: readonly string[],
) => ({
  peft_type: 'LORA',
  task_type: null,
  auto_mapping: null,
  base_model_name_or_path: baseModel,
  revision: null,
  inference_mode: true,
  r: rank,
  lora_alpha: alpha,
  lora_dropout: dropout,
  target_modules: layers,
  modules_to_save: saved.length > 0 ? saved : null,
  bias: 'none',
  fan_in_fan_out: false,
  init_lora_weights: true,
  use_rslora: false,
  use_dora: false,
  rank_pattern: {},
  alpha_pattern: {},
  layers_to_transform: null,
  layers_pattern: null,
});

const configSchema = z.looseObject({
  peft_type: z.literal('LORA'),
  r: z.int().positive(),
  lora_alpha: z.number(),
  use_rslora: z.boolean().nullish(),
  use_dora: z.literal(false).nullish(),
  fan_in_fan_out: z.literal(false).nullish(),
  bias: z.literal('none').nullish(),
  rank_pattern: z.record(z.string(), z.number()).nullish(),
  alpha_pattern: z.record(z.string(), z.number()).nullish(),
});
type PeftConfig = z.output<typeof configSchema>;

/**
 * Reads an adapter in the layout of PEFT, made by this project or another.
 * @param shapes of the weights of the checkpoint that it is to fit, by published name.
 * @throws SpatialError FILE_MISSING; FILE_INVALID for other kinds of adapters than plain LoRA; WEIGHT_MISSING for a layer with
 *   half an update; WEIGHT_UNEXPECTED for one that the checkpoint does not have; SHAPE_MISMATCH.
 */
export async function readPeftAdapter(
  folder: string,
  shapes: Readonly<Record<string, { readonly shape: readonly number[] }>>,
): Promise<LowRankAdapter> {
  const config = await readConfig(path.join(folder, CONFIG));
  const reader = await openSafetensors(path.join(folder, WEIGHTS));
  const toPublished = publishedNames(Object.keys(shapes));
  const updates: ParameterValues = {};
  const replaced: ParameterValues = {};
  const scales: Record<string, number> = {};
  for (const name of reader.names) {
    const published = toPublished(name) ?? unexpected(folder, name, Object.keys(shapes));
    const value = await readTensor(reader, name);
    if (!isLowRankName(name)) {
      requireShape(folder, name, value.shape, shapes[published]!.shape);
      replaced[published] = value;
      continue;
    }
    const layer = layerOfWeight(published);
    const [, part] = /\.(lora_[AB]\.weight)$/.exec(name)!;
    updates[`${layer}.${part}`] = value;
    scales[layer] = scaleOf(config, stripped(name).replace(/\.lora_[AB]\.weight$/, ''));
  }
  for (const layer of Object.keys(scales)) requireWhole(folder, layer, updates, shapes);
  return { updates, scales, replaced };
}

const stripped = (name: string): string =>
  name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name;

/** Published name of the weight that a tensor of an adapter belongs to. */
function publishedNames(published: readonly string[]): (name: string) => string | undefined {
  const moduleName = moduleNamer(published);
  const byModule = new Map(published.map((name) => [moduleName(name), name]));
  const known = new Set(published);
  return (name) => {
    const weight = stripped(name).replace(/\.lora_[AB]\.weight$/, '.weight');
    return byModule.get(weight) ?? (known.has(weight) ? weight : undefined);
  };
}

async function readTensor(reader: SafetensorsReader, name: string) {
  return { data: await reader.readFloat32(name), shape: reader.info(name).shape };
}

/** Patterns name the end of a module's name, or are regular expressions of it. */
function scaleOf(config: PeftConfig, module: string): number {
  const of = (patterns: Readonly<Record<string, number>> | null | undefined, value: number) =>
    Object.entries(patterns ?? {}).find(([pattern]) =>
      new RegExp(`^(.*\\.)?(${pattern})$`).test(module),
    )?.[1] ?? value;
  const rank = of(config.rank_pattern, config.r);
  return lowRankScale(
    rank,
    of(config.alpha_pattern, config.lora_alpha),
    config.use_rslora === true,
  );
}

async function readConfig(file: string): Promise<PeftConfig> {
  const found = await resolveFile(file, 'Name the folder of an adapter in the layout of PEFT.');
  try {
    return configSchema.parse(parseJsonText(await readFile(found, 'utf8')));
  } catch (cause) {
    const problem = describeProblem(cause);
    throw new SpatialError({
      code: 'FILE_INVALID',
      message: `${file}: expected the configuration of a plain LoRA adapter, found another one (${problem})`,
      hint: 'Adapters with peft_type LORA and bias none, without DoRA, can be read.',
      cause,
    });
  }
}

function unexpected(folder: string, name: string, published: readonly string[]): never {
  const near = nearestName(published, stripped(name));
  throw new SpatialError({
    code: 'WEIGHT_UNEXPECTED',
    message: `${folder}: ${name} belongs to no weight of the checkpoint`,
    hint: `${near === undefined ? '' : `The nearest is ${near}. `}Name the checkpoint that the adapter was trained on.`,
  });
}

function requireWhole(
  folder: string,
  layer: string,
  updates: ParameterValues,
  shapes: Readonly<Record<string, { readonly shape: readonly number[] }>>,
): void {
  const { down, up } = lowRankNames(layer);
  const [out, into] = shapes[`${layer}.weight`]!.shape as [number, number];
  const rank = updates[down]?.shape[0] ?? updates[up]?.shape[1];
  for (const [name, shape] of [
    [down, [rank, into]],
    [up, [out, rank]],
  ] as [string, number[]][]) {
    const found = updates[name];
    if (found === undefined)
      throw new SpatialError({
        code: 'WEIGHT_MISSING',
        message: `${folder}: expected ${name}, found half an update`,
        hint: 'Copy the adapter again; every layer has lora_A and lora_B.',
      });
    requireShape(folder, name, found.shape, shape);
  }
}

function requireShape(
  folder: string,
  name: string,
  found: readonly number[],
  expected: readonly number[],
): void {
  if (found.join() === expected.join()) return;
  throw new SpatialError({
    code: 'SHAPE_MISMATCH',
    message: `${folder}: ${name}: expected (${expected.join(', ')}) by the checkpoint, found (${found.join(', ')})`,
    hint: 'Name the checkpoint that the adapter was trained on.',
  });
}
