import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type BackboneV1,
  builtInGeometryHead,
  type GeometryHeadV1,
  hashWeights,
  type LabellerV1,
  readDataset,
  requireCommercialUse,
  type SampleV1,
  SpatialError,
  writeFileAtomic,
} from '@spatialsv/core';
import { parse, stringify } from 'yaml';
import { checkpointFolder, listCheckpoints, restoreCheckpoint } from './checkpoint/checkpoint.js';
import type { TrainConfig } from './config/schema.js';
import { SampleInputsBuilder } from './data/sample-inputs.js';
import { VisionFeatures } from './data/vision-features.js';
import { createModelState, type ModelState } from './model-state.js';
import { countSteps } from './optimizer/schedule.js';
import {
  describeData,
  type RunManifest,
  readManifest,
  writeManifest,
} from './run-folder/manifest.js';
import { truncateMetrics } from './run-folder/metrics-log.js';
import { SampleStep } from './step/sample-step.js';
import { Trainer, type TrainerEvents } from './trainer.js';

export interface TrainOptions extends TrainerEvents {
  /** The opened checkpoint of `config.model`. */
  readonly backbone: BackboneV1;
  /** Where geometric labels come from; without it the run has text losses only. */
  readonly source?: LabellerV1 | undefined;
  /** Gives the 3D heads of an id; `resolveGeometryHead` of a registry where plugins are loaded. */
  readonly findHead?: (id: string) => GeometryHeadV1;
  /** Go on from the newest checkpoint of the run folder. */
  readonly resume?: boolean;
  /** Aborting finishes the step under way, saves and returns. */
  readonly signal?: AbortSignal | undefined;
  /** Versions to note in the manifest. */
  readonly versions?: Readonly<Record<string, string>>;
  readonly onStart?: (run: TrainStart) => void;
}

export interface TrainStart {
  readonly samples: number;
  readonly steps: number;
  /** Steps that were taken before. */
  readonly done: number;
  /** Trained values. */
  readonly parameters: number;
}

export interface TrainResult {
  readonly complete: boolean;
  /** Folder of the last checkpoint. */
  readonly checkpoint: string;
}

/**
 * Trains as configured: total loss of equation 6 over a frozen vision encoder, AdamW with three learning rates.
 * Writes the run folder: `config.yaml`, `manifest.json`, `metrics.jsonl`, `checkpoints/step-N/`.
 * @throws SpatialError USAGE when the folder holds another run, CONFIG_INVALID when a resumed run was configured otherwise
 *   or the heads do not take their options, PLUGIN_UNKNOWN for heads that are not there, DATA_INVALID also for labels whose
 *   licence the configuration does not allow, FILE_MISSING, NON_FINITE.
 */
export async function train(config: TrainConfig, options: TrainOptions): Promise<TrainResult> {
  const { backbone, source, findHead: find = builtInGeometryHead } = options;
  const heads = configureHeads(config, find);
  const resumeFrom = await openRunFolder(config, options.resume ?? false);
  const { samples, counts } = await readSamples(config);
  requireSignal(samples, source, config);
  if (config.commercialUse && source !== undefined) requireCommercialUse(source);
  const hash = await recordRun(config, options, counts, resumeFrom !== undefined);
  const labelSize = requestedSize(config);
  const labels = await source?.doSupervise({ images: samples[0]!.images, ...labelSize });
  const state = await createModelState(config, backbone, { model: heads, find }, labels);
  const { device, losses, featureCache: folder } = config;
  const features = new VisionFeatures(backbone, { device, weightsHash: hash, folder });
  const builder = new SampleInputsBuilder({ backbone, features, heads, source, labelSize });
  const taps = state.spatial?.taps ?? [];
  const runner = new SampleStep({ backbone, heads, losses, taps }, state, device);
  try {
    const from = await restore(config, state, resumeFrom);
    const steps = countSteps(config.schedule, samples.length, config.batchSize);
    const parts = { config, backbone, state, samples, builder, runner, steps };
    options.onStart?.(describeStart(state, samples.length, steps, from.step));
    const trainer = new Trainer(parts, options, from);
    const complete = await trainer.run(options.signal);
    return { complete, checkpoint: await trainer.save() };
  } finally {
    await features.dispose();
    await runner.dispose();
    await state.optimizer.dispose();
    for (const tensor of Object.values(state.frozenTensors)) tensor.dispose();
  }
}

function configureHeads({ heads }: TrainConfig, find: (id: string) => GeometryHeadV1) {
  const { type, ...options } = heads;
  return find(type).configure(options);
}

function requestedSize({ source: { height, width } }: TrainConfig) {
  return { ...(height !== undefined && { height }), ...(width !== undefined && { width }) };
}

function describeStart(
  state: ModelState,
  samples: number,
  steps: number,
  done: number,
): TrainStart {
  const sizes = Object.values(state.optimizer.parameters).map(({ shape }) =>
    shape.reduce((product, length) => product * length, 1),
  );
  return { samples, steps, done, parameters: sizes.reduce((sum, size) => sum + size, 0) };
}

async function restore(config: TrainConfig, state: ModelState, step: number | undefined) {
  if (step === undefined) return { step: 0, position: 0 };
  const folder = checkpointFolder(config.out, step);
  const record = await restoreCheckpoint(folder, state.optimizer);
  await truncateMetrics(config.out, record.step);
  return record;
}

async function readSamples(config: TrainConfig) {
  const samples: SampleV1[] = [];
  const counts: number[] = [];
  for (const dataset of config.data) {
    const read = await readDataset(dataset);
    samples.push(...read);
    counts.push(read.length);
  }
  return { samples, counts };
}

/** Refuses data from which nothing can be learned. */
function requireSignal(
  samples: readonly SampleV1[],
  source: LabellerV1 | undefined,
  config: TrainConfig,
): void {
  const paths = config.data.map(({ path }) => path).join(', ');
  if (samples.length === 0) throw dataError(`${paths}: no samples`, 'Check `limit` and the files.');
  const silent = samples.find(({ answer }) => answer === undefined);
  if (source !== undefined || silent === undefined) return;
  throw dataError(
    `${paths}: sample '${silent.id}' has no answer, and no source gives it labels`,
    'Name a supervision source under `source`, or remove the samples without text.',
  );
}

const dataError = (message: string, hint: string) =>
  new SpatialError({ code: 'DATA_INVALID', message, hint });

/** Settings that may differ when a run is resumed: they do not change what is computed. */
const CHANGEABLE: ReadonlySet<string> = new Set([
  'checkpointEvery',
  'keepCheckpoints',
  'featureCache',
]);

const CONFIG_FILE = 'config.yaml';

/**
 * Makes the run folder, or finds the checkpoint to go on from.
 * @returns the step of that checkpoint; undefined to start at the beginning.
 */
async function openRunFolder(config: TrainConfig, resume: boolean): Promise<number | undefined> {
  const file = join(config.out, CONFIG_FILE);
  const steps = await listCheckpoints(config.out);
  const stored = await readFile(file, 'utf8').catch(() => undefined);
  if (!resume && steps.length > 0) throw occupied(config.out);
  if (resume && stored !== undefined) requireSameConfig(config, parse(stored), file);
  await mkdir(config.out, { recursive: true });
  await writeFileAtomic(file, stringify(config));
  if (steps.length === 0) await truncateMetrics(config.out, 0);
  return steps.at(-1);
}

function occupied(out: string): SpatialError {
  return new SpatialError({
    code: 'USAGE',
    message: `${out}: the folder already holds checkpoints of a run`,
    hint: 'Add --resume to go on with that run, or set `out` to another folder.',
  });
}

function requireSameConfig(config: TrainConfig, stored: Record<string, unknown>, file: string) {
  const now = JSON.parse(JSON.stringify(config)) as Record<string, unknown>;
  const keys = new Set([...Object.keys(now), ...Object.keys(stored)]);
  for (const key of keys) {
    const same = JSON.stringify(sorted(now[key])) === JSON.stringify(sorted(stored[key]));
    if (same || CHANGEABLE.has(key)) continue;
    throw new SpatialError({
      code: 'CONFIG_INVALID',
      message: `'${key}' differs from ${file}: was ${JSON.stringify(stored[key])}, is ${JSON.stringify(now[key])}`,
      hint: 'A resumed run keeps its settings. Restore the value, or start a new run in another `out` folder.',
    });
  }
}

/** The same value with the keys of every object in order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, item]) => [key, sorted(item)]));
}

/** Writes the manifest. @returns the hash of the weights. */
async function recordRun(
  config: TrainConfig,
  { backbone, source, versions }: TrainOptions,
  counts: readonly number[],
  resumed: boolean,
): Promise<string> {
  const before = resumed ? await readManifest(config.out) : undefined;
  const now = new Date().toISOString();
  const manifest: RunManifest = {
    version: 1,
    createdAt: before?.createdAt ?? now,
    resumedAt: resumed ? [...(before?.resumedAt ?? []), now] : [],
    seed: config.seed,
    versions: { node: process.versions.node, ...versions },
    model: {
      folder: backbone.folder,
      adapter: backbone.adapterId,
      weightsHash: await hashWeights(backbone.weights),
    },
    source: source?.provenance ?? 'none',
    data: await describeData(config, counts),
  };
  await writeManifest(config.out, manifest);
  return manifest.model.weightsHash;
}
