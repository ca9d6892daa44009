import { join } from 'node:path';
import {
  hashPromptFiles,
  hashWeights,
  knownHashes,
  readTextIfThere,
  readYaml,
  recoverFolders,
  SpatialError,
  writeFileAtomic,
} from '@spatialsv/core';
import { kernelRecord, machineInfo, pinKernels } from '@spatialsv/engine';
import { stringify } from 'yaml';
import { checkpointsFolder, listCheckpoints } from '../checkpoint/checkpoint.js';
import type { ModelDefaults, RunConfig } from '../config/run-config.js';
import { requestedSize, type TrainingData } from '../data/training-data.js';
import type { RunModels } from '../run-models.js';
import type { Recompute } from '../step/open-runner.js';
import type { Change, ChangeKind } from './change.js';
import { changedSettings, changedSources, requireAccepted } from './changes.js';
import { describeData, type RunManifest, readManifest, writeManifest } from './manifest.js';
import { truncateMetrics } from './metrics-log.js';
import {
  changedInputs,
  describeInputs,
  type RunInputs,
  readInputs,
  withKnown,
  writeInputs,
} from './run-inputs.js';

const CONFIG_FILE = 'config.yaml';

/** Where a run comes from. */
export interface RunOrigin {
  /** Go on from the newest checkpoint of the run folder. */
  readonly resume?: boolean;
  /** What may differ from what the resumed run was begun with; noted in the manifest. */
  readonly acceptChanges?: readonly ChangeKind[];
  /** Versions to note in the manifest. */
  readonly versions?: Readonly<Record<string, string>>;
}

type RunOptions = RunModels & RunOrigin & { readonly defaults: ModelDefaults };

/** A run folder that is ready to be written to. */
export interface OpenedRun {
  /** Step of the checkpoint to go on from; undefined to start at the beginning. */
  readonly resumeFrom: number | undefined;
  /** Identifies what computes the features of a view. */
  readonly modelHash: string;
  /** What `recompute: auto` stands for, where it was decided before. */
  readonly recompute: Recompute | undefined;
}

/**
 * Opens the folder of a run whose lock is held: tidies what a crash has left, compares what the run is made from with what
 * it was begun with, and records it. Programs that are compiled afterwards are written as those of the run's beginning were.
 * @param data what was read for the configuration.
 * @throws SpatialError USAGE when the folder holds another run; CONFIG_INVALID for changes that were not accepted;
 *   FILE_INVALID for a damaged manifest.
 */
export async function openRunFolder(
  config: RunConfig,
  options: RunOptions,
  data: TrainingData,
): Promise<OpenedRun> {
  const { out } = config;
  await recoverFolders(out);
  await recoverFolders(checkpointsFolder(out));
  const resumeFrom = (await listCheckpoints(out)).at(-1);
  if (resumeFrom !== undefined && options.resume !== true) throw occupied(out);
  const before = resumeFrom === undefined ? undefined : await readBefore(out);
  const teachers = [options.source, options.secondTeacher];
  const found = await describeInputs(data, teachers, requestedSize(config));
  // What has gone is left out where broken samples are; what comes back has to be what it was.
  const known = config.brokenSamples === 'skip' ? before?.inputs : undefined;
  const inputs = known === undefined ? found : withKnown(found, known);
  const manifest = await newManifest(config, options, { data, inputs }, before?.manifest);
  const changes =
    before === undefined
      ? []
      : [
          ...changedSettings(before.config, config),
          ...changedSources(before.manifest, manifest),
          ...changedInputs(before.inputs ?? inputs, inputs),
        ];
  await knownHashes.keep();
  requireAccepted(out, changes, options.acceptChanges ?? []);
  await writeInputs(out, inputs);
  await record(config, manifest, changes);
  if (resumeFrom === undefined) await truncateMetrics(out, 0);
  const { adapter, weightsHash, configurationHash } = manifest.model;
  const modelHash = [adapter, weightsHash, configurationHash].join(' ');
  return { resumeFrom, modelHash, recompute: manifest.recompute };
}

/** Notes what `recompute: auto` stands for, which decides the last digits of every gradient of the run. */
export async function recordRecompute(out: string, recompute: Recompute): Promise<void> {
  const manifest = await readManifest(out);
  if (manifest !== undefined) await writeManifest(out, { ...manifest, recompute });
}

async function record(config: RunConfig, manifest: RunManifest, changes: readonly Change[]) {
  const at = manifest.resumedAt.at(-1) ?? manifest.createdAt;
  const accepted = changes.map((change) => ({ at, ...change }));
  const acceptedChanges = [...manifest.acceptedChanges, ...accepted];
  // The settings last: until then the next attempt finds the change again.
  await writeManifest(config.out, { ...manifest, acceptedChanges });
  await writeFileAtomic(join(config.out, CONFIG_FILE), stringify(config));
}

function occupied(out: string): SpatialError {
  return new SpatialError({
    code: 'USAGE',
    message: `${out}: the folder already holds checkpoints of a run`,
    hint: 'Add --resume to go on with that run, or set `out` to another folder.',
  });
}

/** Settings and sources that the checkpoints of a folder were made with. */
async function readBefore(out: string) {
  const file = join(out, CONFIG_FILE);
  const text = await readTextIfThere(file);
  const manifest = await readManifest(out);
  const inputs = await readInputs(out);
  if (text !== undefined && manifest !== undefined) {
    const config = readYaml(text, file).value as Record<string, unknown>;
    return { config, manifest, inputs };
  }
  throw new SpatialError({
    code: 'FILE_MISSING',
    message: `${out}: checkpoints without ${text === undefined ? CONFIG_FILE : 'manifest.json'}: what they were made with is not known`,
    hint: 'Restore the file. To train on from a checkpoint as a new run, name its folder as `model` and choose another `out`.',
  });
}

async function newManifest(
  config: RunConfig,
  { backbone, source, secondTeacher, versions, defaults }: RunOptions,
  { data, inputs }: { readonly data: TrainingData; readonly inputs: RunInputs },
  before: RunManifest | undefined,
): Promise<RunManifest> {
  const now = new Date().toISOString();
  return {
    version: 1,
    createdAt: before?.createdAt ?? now,
    resumedAt: before === undefined ? [] : [...before.resumedAt, now],
    seed: config.seed,
    versions: { node: process.versions.node, ...versions },
    machine: await describeMachine(before),
    model: {
      folder: backbone.folder,
      adapter: backbone.adapterId,
      weightsHash: await hashWeights(backbone.weights, knownHashes.of),
      configurationHash: await hashPromptFiles(backbone.folder),
    },
    defaults,
    source: source?.provenance ?? 'none',
    ...(secondTeacher && { secondTeacher: secondTeacher.provenance }),
    data: await describeData(config, data.sets),
    inputs: {
      images: Object.keys(inputs.images).length,
      labels: Object.keys(inputs.labels).length,
    },
    ...(before?.recompute !== undefined && { recompute: before.recompute }),
    acceptedChanges: before?.acceptedChanges ?? [],
  };
}

/** Where the kernels of the beginning cannot be had here, those of this machine show as a change. */
async function describeMachine(before: RunManifest | undefined) {
  const kernels = before?.machine?.kernels;
  if (kernels !== undefined) await pinKernels(kernels);
  return { ...machineInfo(), kernels: await kernelRecord() };
}
