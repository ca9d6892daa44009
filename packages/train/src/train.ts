import {
  type BackboneV1,
  builtInContributions,
  type DatasetFormats,
  dptGeometryHead,
  type FolderLock,
  type GeometryHeadV1,
  type LabellerV1,
  lockFolder,
  readSampleImages,
  removeTemporaries,
  requireCommercialUse,
  requireTapCount,
  SpatialError,
  withCleanup,
} from '@spatialsv/core';
import { sizeOf } from '@spatialsv/engine';
import { checkpointFolder, restoreCheckpoint } from './checkpoint/checkpoint.js';
import {
  completeConfig,
  type ModelDefaults,
  modelDefaults,
  type RunConfig,
} from './config/run-config.js';
import type { TrainConfig } from './config/schema.js';
import { tappedLayers } from './config/tapped-layers.js';
import { isBrokenInput, unlessBroken } from './data/run-samples.js';
import { SampleInputsBuilder } from './data/sample-inputs.js';
import { epochLength } from './data/sample-order.js';
import { LocalPreparation, preparationOptions } from './data/sample-preparation.js';
import { type PreparationThreads, ThreadedPreparation } from './data/threaded-preparation.js';
import { requestedSize, requireSignal, TrainingData } from './data/training-data.js';
import { VisionFeatures } from './data/vision-features.js';
import { GradientStatistics } from './gradient-statistics.js';
import { HeldOut } from './held-out.js';
import { createModelState, type ModelState, type RunHeads } from './model-state.js';
import { countSteps } from './optimizer/schedule.js';
import { explainNoRoom } from './out-of-memory.js';
import { readBest } from './run-folder/best.js';
import { truncateMetrics } from './run-folder/metrics-log.js';
import {
  type OpenedRun,
  openRunFolder,
  type RunOrigin,
  recordRecompute,
} from './run-folder/run-folder.js';
import { readSkips } from './run-folder/skipped.js';
import { EventFile } from './run-folder/tensorboard.js';
import type { RunModels } from './run-models.js';
import { chooseRecompute, openRunner, type Recompute } from './step/open-runner.js';
import type { ProgramUsage } from './step/program-usage.js';
import type { SampleRunner } from './step/sample-runner.js';
import type { StepModel } from './step/step-program.js';
import { Trainer, type TrainerEvents } from './trainer.js';
import { Watch, type WatchedLook, type WatchOptions, watchedSamples } from './watch.js';

export interface TrainOptions extends TrainerEvents, RunModels, RunOrigin {
  /** Gives the 3D heads of an id; `resolveGeometryHead` of a registry where plugins are loaded. */
  readonly findHead?: (id: string) => GeometryHeadV1;
  /** Where data set formats are found: the registry where plugins are loaded; those of core where absent. */
  readonly formats?: DatasetFormats;
  /** Threads that prepare samples, with the labels of stores where they have them; this one does where absent. */
  readonly preparation?:
    | { readonly threads: PreparationThreads; readonly hasLabels: boolean }
    | undefined;
  /** Keeps what is watched, where the configuration says so. */
  readonly onWatch?: (look: WatchedLook) => Promise<void>;
  /** Aborting finishes the step under way, saves and returns. */
  readonly signal?: AbortSignal | undefined;
  readonly onStart?: (run: TrainStart) => void;
  /** What programs took, when the run has ended. */
  readonly onUsage?: (usage: ProgramUsage) => void;
}

export interface TrainStart {
  readonly samples: number;
  readonly steps: number;
  /** Steps that were taken before. */
  readonly done: number;
  /** Trained values. */
  readonly parameters: number;
  readonly defaults: ModelDefaults;
}

export interface TrainResult {
  readonly complete: boolean;
  /** Folder of the last checkpoint. */
  readonly checkpoint: string;
}

/**
 * Trains as configured: total loss of equation 6 over a frozen vision encoder, AdamW with three learning rates.
 * Writes the run folder: `config.yaml`, `manifest.json`, `metrics.jsonl`, `checkpoints/step-N/`; one process at a time.
 * @throws SpatialError USAGE without a source in an arm that learns from labels, when the folder holds another run or another process writes to it, CONFIG_INVALID when a
 *   resumed run is not made from what it was begun with or the heads do not take their options or that many taps, TAP_UNKNOWN for
 *   taps that the model does not have, IMAGE_INVALID for an image that the backbone refuses, PLUGIN_UNKNOWN for heads that are not there, DATA_INVALID also for labels whose licence the configuration does not allow, FILE_MISSING,
 *   FILE_INVALID, NON_FINITE.
 */
export async function train(written: TrainConfig, given: TrainOptions): Promise<TrainResult> {
  const options =
    written.arm === 'text' ? { ...given, source: undefined, secondTeacher: undefined } : given;
  const { source, backbone } = options;
  const config = completeConfig(written, backbone.config);
  requireModels(config, options);
  const heads = await openHeads(config, options);
  const defaults = modelDefaults(written, backbone.config, heads.taps);
  const data = await TrainingData.read(config, options.formats);
  let heldOut: TrainingData | undefined;
  const work = async () => {
    await requireSignal(data, source, config);
    heldOut = await readHeldOut(config, options);
    for (const samples of heldOut === undefined ? [data] : [data, heldOut])
      await requireImages(samples, config, options);
    const lock = await lockFolder(config.out, 'train');
    const run = { config, defaults, options, data, heldOut, heads, lock };
    return withCleanup(
      () => trainLocked(run),
      () => lock.release(),
    );
  };
  return withCleanup(
    work,
    () => data.close(),
    () => heldOut?.close(),
  );
}

async function readHeldOut(
  { evaluation, seed, brokenSamples }: RunConfig,
  { formats }: TrainOptions,
): Promise<TrainingData | undefined> {
  return evaluation && TrainingData.read({ ...evaluation, seed, brokenSamples }, formats);
}

const requireImages = (
  samples: TrainingData,
  { brokenSamples }: RunConfig,
  { backbone, signal }: TrainOptions,
) =>
  readSampleImages({
    ...{ samples, backbone, signal },
    nameOf: async (index) => (await samples.at(index)).place,
    // They are left out when it is their turn.
    ...(brokenSamples === 'skip' && { onProblem: () => undefined }),
  });

/** Age of a half-written file in the feature cache, which runs share, from which on nobody writes it any more. */
const DAY_MS = 24 * 3600_000;

interface LockedRun {
  readonly config: RunConfig;
  readonly defaults: ModelDefaults;
  readonly options: TrainOptions;
  readonly data: TrainingData;
  readonly heads: RunHeads;
  /** Samples that are measured, never learnt. */
  readonly heldOut: TrainingData | undefined;
  readonly lock: FolderLock;
}

/** What a run computes with. */
interface OpenedRunParts {
  readonly state: ModelState;
  readonly features: VisionFeatures;
  readonly builder: SampleInputsBuilder;
  readonly runner: SampleRunner;
  readonly recompute: Recompute;
  readonly heldOut: HeldOut | undefined;
  readonly gradients: GradientStatistics | undefined;
  readonly watch: Watch | undefined;
}

async function trainLocked(run: LockedRun): Promise<TrainResult> {
  const { config, defaults, options, data } = run;
  const opened = await openRunFolder(config, { ...options, defaults }, data);
  const owned: Cleanup[] = [];
  return withCleanup(
    async () => trainFrom(opened.resumeFrom, run, await openParts(run, opened, owned)),
    () => withCleanup(async () => undefined, ...owned),
  );
}

/** Gives back what a run has opened. */
type Cleanup = () => unknown;

/** @param owned takes what gives back each part as soon as it is there, the last one first: a later one may fail to open. */
async function openParts(
  run: LockedRun,
  { modelHash, recompute: decided }: OpenedRun,
  owned: Cleanup[],
): Promise<OpenedRunParts> {
  const { config, options, data, heads } = run;
  const { backbone, source } = options;
  const labels = source && (await firstLabels(config, source, data));
  const state = await createModelState(config, backbone, heads, labels).catch((error: unknown) => {
    throw explainNoRoom(error, config);
  });
  owned.unshift(
    () => state.average?.dispose(),
    () => state.optimizer.dispose(),
    () => Object.values(state.frozenTensors).map((tensor) => tensor.dispose()),
  );
  const features = await openFeatures(config, backbone, modelHash);
  owned.unshift(() => features.dispose());
  const builder = openBuilder(config, heads, options, features);
  const taps = state.spatial?.taps ?? [];
  const model = { backbone, heads: heads.model, losses: config.losses, taps };
  const recompute = await decideRecompute(config, model, state, { builder, data, decided });
  const runner = openRunner(model, state, { ...stepTarget(config), recompute });
  owned.unshift(() => runner.dispose());
  const observers = await openObservers(run, { ...targetOf(config), model, state, builder }, owned);
  return { state, features, builder, runner, recompute, ...observers };
}

const targetOf = ({ device, precision }: RunConfig) => ({ device, precision });

/** Of the programs of a step. */
const stepTarget = (config: RunConfig) => ({ ...targetOf(config), replays: config.cudaGraphs });

async function openFeatures(config: RunConfig, backbone: BackboneV1, modelHash: string) {
  const { featureCache: folder } = config;
  if (folder !== undefined) await removeTemporaries(folder, DAY_MS);
  return new VisionFeatures(backbone, { ...targetOf(config), modelHash, folder });
}

type ObservedParts = Omit<WatchOptions, 'samples' | 'onWatch' | 'skipsBroken'>;

/** What looks at a run while it goes on. */
async function openObservers(run: LockedRun, parts: ObservedParts, owned: Cleanup[]) {
  const { config, heldOut: data } = run;
  const skipsBroken = config.brokenSamples === 'skip';
  const heldOut = data && new HeldOut({ ...parts, data, skipsBroken });
  owned.unshift(() => heldOut?.dispose());
  const gradients =
    config.gradientStatisticsEvery === undefined
      ? undefined
      : new GradientStatistics(parts.model, parts.state, targetOf(config));
  owned.unshift(() => gradients?.dispose());
  const watch = await openWatch(run, { ...parts, skipsBroken });
  owned.unshift(() => watch?.dispose());
  return { heldOut, gradients, watch };
}

/** @param resumeFrom step of the checkpoint to go on from. */
async function trainFrom(
  resumeFrom: number | undefined,
  { config, defaults, options, data, lock }: LockedRun,
  parts: OpenedRunParts,
): Promise<TrainResult> {
  const { state } = parts;
  const from = await restore(config, state, resumeFrom);
  const steps = countSteps(config.schedule, epochLength(data.sets), config.batchSize);
  const start = { samples: data.count, steps, done: from.step, defaults };
  options.onStart?.({ ...start, parameters: countParameters(state) });
  const given = { config, backbone: options.backbone, data, lock, steps };
  const records = await openRecords(config, from.step + 1);
  const preparedAtOnce = options.preparation?.threads.size;
  const trainer = new Trainer({ ...parts, ...given, ...records, preparedAtOnce }, options, from);
  const complete = await trainer.run(options.signal);
  options.onUsage?.(parts.runner.usage);
  return { complete, checkpoint: await trainer.save() };
}

/** What a run folder says of the steps before, and where those from the first to come on are noted. */
async function openRecords({ tensorboard, out }: RunConfig, firstStep: number) {
  return {
    events: tensorboard ? await EventFile.create(out, firstStep) : undefined,
    best: await readBest(out),
    skips: await readSkips(out),
  };
}

/** What is watched: held-out samples where there are any. @returns undefined where nobody looks. */
async function openWatch(
  { config, options, data, heldOut }: LockedRun,
  parts: Omit<WatchOptions, 'samples' | 'onWatch'>,
): Promise<Watch | undefined> {
  const { onWatch } = options;
  if (config.watch === undefined || onWatch === undefined) return undefined;
  const samples = await watchedSamples(heldOut ?? data, config.watch.samples);
  return new Watch({ ...parts, samples, onWatch });
}

/** The models that were opened are those that the configuration needs, and may be used so. */
function requireModels(config: RunConfig, { backbone, source, secondTeacher }: TrainOptions): void {
  requireLabeller(config, source);
  requireSecond(config, secondTeacher);
  requirePacking(config, backbone);
  for (const teacher of [source, secondTeacher])
    if (config.commercialUse && teacher !== undefined) requireCommercialUse(teacher);
}

function requireLabeller({ arm }: TrainConfig, source: LabellerV1 | undefined): void {
  if (arm === 'text' || source !== undefined) return;
  throw new SpatialError({
    code: 'USAGE',
    message: `arm '${arm}' learns from labels: expected a label source among the options of train, found none`,
    hint: 'Open the source that the configuration names, or train with arm: text.',
  });
}

function requireSecond({ secondTeacher }: TrainConfig, teacher: LabellerV1 | undefined): void {
  if (secondTeacher === undefined || teacher !== undefined) return;
  throw new SpatialError({
    code: 'USAGE',
    message: `secondTeacher: expected the source '${secondTeacher.name}' among the options of train, found none`,
    hint: 'Open the source that the configuration names.',
  });
}

/** Samples are prepared in threads where there are any. */
function openBuilder(
  config: RunConfig,
  heads: RunHeads,
  options: TrainOptions,
  features: VisionFeatures,
): SampleInputsBuilder {
  const how = preparationOptions(config, heads.model, options);
  const { threads, hasLabels } = options.preparation ?? {};
  const local = new LocalPreparation(how);
  const preparation = threads && new ThreadedPreparation(threads, local, hasLabels === true);
  return new SampleInputsBuilder({ ...how, features, preparation });
}

/** Labels of the first sample that has any. @throws as the source does for the last one that it was asked for. */
async function firstLabels(config: RunConfig, source: LabellerV1, data: TrainingData) {
  let problem: SpatialError | undefined;
  for await (const { images, labels } of data) {
    if (!labels) continue;
    try {
      return await source.doLabel({ images, ...requestedSize(config) });
    } catch (error) {
      if (config.brokenSamples !== 'skip' || !isBrokenInput(error)) throw error;
      problem = error;
    }
  }
  if (problem !== undefined) throw problem;
  return undefined;
}

/** Joined samples must not see each other, which is for the decoder to see to. */
function requirePacking({ packTokens }: TrainConfig, { adapterId, decoder }: BackboneV1): void {
  if (packTokens === undefined || decoder.separatesSegments === true) return;
  throw new SpatialError({
    code: 'CONFIG_INVALID',
    message: `packTokens: the decoder of '${adapterId}' does not keep joined samples apart`,
    hint: 'Leave packTokens out for this model.',
  });
}

/** Samples that are looked at to see how large they are. */
const LOOKED_AT = 8;

/** What is recomputed, decided once for a run. */
async function decideRecompute(
  { recompute, out, brokenSamples, packTokens, device, precision }: RunConfig,
  model: StepModel,
  state: ModelState,
  {
    builder,
    data,
    decided,
  }: {
    readonly builder: SampleInputsBuilder;
    readonly data: TrainingData;
    readonly decided: Recompute | undefined;
  },
): Promise<Recompute> {
  if (recompute !== 'auto') return recompute;
  if (decided !== undefined) return decided;
  const samples = [];
  for (let index = 0; index < Math.min(LOOKED_AT, data.count); index++) {
    const sample = await data.at(index);
    const inputs = await unlessBroken(brokenSamples === 'skip', () => builder.build(sample));
    if (inputs !== undefined) samples.push(inputs);
  }
  const chosen = chooseRecompute(model, state, samples, { packTokens, device, precision });
  await recordRecompute(out, chosen);
  return chosen;
}

/** The heads to train. Those of a run without labels are not trained, whatever they take. */
export async function openHeads(config: TrainConfig, options: TrainOptions): Promise<RunHeads> {
  const { backbone, source, findHead: find = builtInContributions().resolveGeometryHead } = options;
  const { type, ...settings } = config.heads;
  const isDistilled = !config.signals.some((signal) => signal !== 'feat');
  const model = isDistilled
    ? await dptGeometryHead.configure({ tasks: [] })
    : await find(type).configure(settings);
  const taps = tappedLayers(config, backbone.config, model.tapCount);
  const where = config.layers === undefined ? 'layers of the model' : 'layers';
  if (source !== undefined) requireTapCount(model, taps, { where, key: 'layers' });
  return { model, taps, find };
}

function countParameters({ optimizer }: ModelState): number {
  const sizes = Object.values(optimizer.parameters).map(({ shape }) => sizeOf(shape));
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function restore(config: TrainConfig, state: ModelState, step: number | undefined) {
  if (step === undefined) return { step: 0, position: 0 };
  const checkpoint = checkpointFolder(config.out, step);
  const record = await restoreCheckpoint(checkpoint, state);
  if (record.adaptive !== undefined) await state.adaptive.restore(record.adaptive);
  await truncateMetrics(config.out, record.step);
  return { ...record, checkpoint };
}

/** What prepares the samples of a configuration on this thread: the work of `preparation` in a thread of its own. */
export async function openPreparation(
  written: TrainConfig,
  options: Pick<TrainOptions, 'backbone' | 'source' | 'secondTeacher' | 'findHead'>,
): Promise<LocalPreparation> {
  const config = completeConfig(written, options.backbone.config);
  const { model } = await openHeads(config, options);
  return new LocalPreparation(preparationOptions(config, model, options));
}
