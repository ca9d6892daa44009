import { mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import {
  canonicalJson,
  extendError,
  readTextIfThere,
  SpatialError,
  type StoredLabeller,
  type TapSite,
  writeFileAtomic,
} from '@spatialsv/core';
import { ProgramCache } from '@spatialsv/engine';
import { sha256 } from '../data/sha256.js';
import { constantMaps, samePlace } from './constant-control.js';
import { DenseProbe } from './dense-probe.js';
import { DENSE_TASKS, type DenseTask } from './dense-targets.js';
import {
  type ChannelStatistics,
  channelStatistics,
  type FeatureSource,
  keptFeatures,
  labelFeatures,
  randomFeatures,
  storedFeatures,
} from './feature-sources.js';
import type { FeatureStore } from './feature-store.js';
import { MatchProbe } from './match-probe.js';
import type { Metrics, ProbeContext, ProbeModel } from './probe-model.js';
import type { ProbeKind } from './probe-network.js';
import { ProbeTargets } from './probe-targets.js';
import { type CurvePoint, ProbeOptimizers, type ProbeTraining, trainProbe } from './train-probe.js';
import { type ProbeSet, type Split, splitByScene } from './view-sets.js';

export const PROBE_TASKS = [...DENSE_TASKS, 'correspondence'] as const;
export type ProbeTask = (typeof PROBE_TASKS)[number];

/**
 * What is measured beside the sites: `constant` never looks; `random` reads noise; `pixels` the image itself; `label-features`
 * what the label source computed.
 */
export const CONTROLS = ['constant', 'random', 'pixels', 'label-features'] as const;
export type Control = (typeof CONTROLS)[number];

/** What a probe reads. */
export type Subject = TapSite | Control;

/** One probe, trained and measured. */
export interface ProbeResult {
  readonly task: ProbeTask;
  readonly subject: Subject;
  readonly seed: number;
  /** 0 for the control that reads nothing. */
  readonly channels: number;
  readonly metrics: Metrics;
  readonly curve: readonly CurvePoint[];
  readonly seconds: number;
}

export interface ProbeRunRequest {
  /** Folder that keeps finished probes. */
  readonly folder: string;
  readonly store: FeatureStore;
  readonly labels: StoredLabeller;
  readonly sets: readonly ProbeSet[];
  readonly subjects: readonly Subject[];
  readonly tasks: readonly ProbeTask[];
  readonly kind: ProbeKind;
  readonly training: ProbeTraining;
  /** Share of the scenes that is held out. */
  readonly heldOut: number;
  /** Each draws a split, fresh parameters and an order of its own. */
  readonly seeds: readonly number[];
  readonly device: string;
  readonly signal?: AbortSignal | undefined;
  /** @param steps taken so far, of `probeSteps`. @param what is under way. */
  readonly onProgress?: ((steps: number, what: string) => void) | undefined;
}

/** Steps of all probes of a request. */
export const probeSteps = ({ subjects, tasks, seeds, training }: ProbeRunRequest): number =>
  subjects.length * tasks.length * seeds.length * training.steps;

/** Changes when the same request has to give other results. */
const VERSION = 1;

/**
 * Trains and measures every probe of a request. Each is written when it is finished, under the hash of what it depends on: the
 * same probe is never trained twice in a folder, whatever else is asked for.
 */
export async function runProbes(request: ProbeRunRequest): Promise<readonly ProbeResult[]> {
  const programs = new ProgramCache(64);
  const optimizers = new ProbeOptimizers(request.device);
  try {
    return await new ProbeRun(request, programs, optimizers).run();
  } finally {
    await programs.dispose();
    await optimizers.dispose();
  }
}

class ProbeRun {
  readonly #request: ProbeRunRequest;
  readonly #programs: ProgramCache;
  readonly #optimizers: ProbeOptimizers;
  readonly #targets: ProbeTargets;
  /** Of everything that all probes of the request depend on. */
  readonly #inputs: string;
  #steps = 0;

  constructor(request: ProbeRunRequest, programs: ProgramCache, optimizers: ProbeOptimizers) {
    this.#request = request;
    this.#programs = programs;
    this.#optimizers = optimizers;
    this.#targets = new ProbeTargets(request.labels, request.store);
    this.#inputs = inputsHash(request);
  }

  async run(): Promise<readonly ProbeResult[]> {
    const { folder, sets, heldOut, seeds, subjects, tasks } = this.#request;
    await mkdir(folder, { recursive: true });
    const splits = new Map(seeds.map((seed) => [seed, splitByScene(sets, heldOut, seed)]));
    const results: ProbeResult[] = [];
    for (const subject of subjects) {
      const source = this.#source(subject);
      // The statistics of a split are the same for every task.
      const parts = [...splits].map(([seed, split]) => ({
        seed,
        split,
        source: source && {
          ...source,
          statistics: once(() => channelStatistics(source, split.train)),
        },
      }));
      for (const task of tasks)
        for (const part of parts) results.push(await this.#resultOf({ task, subject, ...part }));
    }
    return results;
  }

  /** What a subject reads; undefined for the control that reads nothing. */
  #source(subject: Subject): FeatureSource | undefined {
    const { store } = this.#request;
    if (subject === 'constant') return undefined;
    if (subject === 'random') return keptFeatures(randomFeatures(this.#targets, 0));
    if (subject === 'label-features') return keptFeatures(labelFeatures(this.#targets));
    return keptFeatures(storedFeatures(store, subject));
  }

  async #resultOf(probe: Probe): Promise<ProbeResult> {
    const { signal, training } = this.#request;
    signal?.throwIfAborted();
    const file = join(this.#request.folder, this.#fileOf(probe));
    const known = await readTextIfThere(file);
    const before = this.#steps;
    const result = known === undefined ? await this.#measured(probe) : JSON.parse(known);
    if (known === undefined) await writeFileAtomic(file, `${JSON.stringify(result)}\n`);
    this.#steps = before + training.steps;
    this.#tell(probe);
    return result as ProbeResult;
  }

  /** @throws SpatialError naming the probe. */
  async #measured(probe: Probe): Promise<ProbeResult> {
    try {
      return await this.#measure(probe);
    } catch (error) {
      if (!SpatialError.isInstance(error)) throw error;
      const { task, subject, seed } = probe;
      throw extendError(error, `probe of ${task}, ${subject}, seed ${seed}: ${error.message}`);
    }
  }

  async #measure(probe: Probe): Promise<ProbeResult> {
    const started = performance.now();
    const found = await (probe.source === undefined
      ? this.#constant(probe)
      : this.#train(probe, probe.source));
    const { task, subject, seed } = probe;
    return { task, subject, seed, ...found, seconds: (performance.now() - started) / 1000 };
  }

  async #constant({ task, split }: Probe) {
    const metrics =
      task === 'correspondence'
        ? await samePlace(this.#targets, split)
        : await constantMaps(task, this.#targets, split);
    return { channels: 0, metrics, curve: [] };
  }

  async #train(probe: Probe, source: SplitSource) {
    const { training, signal } = this.#request;
    const { split, seed, task } = probe;
    const before = this.#steps;
    const statistics = await source.statistics();
    const channels = statistics.mean.length;
    const model = this.#model(task, { ...this.#shared(), source, statistics, channels });
    const { metrics, curve } = await trainProbe({
      model,
      split,
      training,
      seed,
      programs: this.#programs,
      optimizers: this.#optimizers,
      signal,
      onStep: (step) => {
        this.#steps = before + step;
        this.#tell(probe);
      },
    });
    return { channels, metrics, curve };
  }

  #shared() {
    const { device } = this.#request;
    return { targets: this.#targets, programs: this.#programs, device };
  }

  #model(task: ProbeTask, context: ProbeContext): ProbeModel {
    if (task === 'correspondence') return new MatchProbe(context);
    return new DenseProbe(task satisfies DenseTask, this.#request.kind, context);
  }

  #tell({ task, subject, seed }: Probe): void {
    this.#request.onProgress?.(this.#steps, `${task} ${subject} seed ${seed}`);
  }

  #fileOf({ task, subject, seed }: Probe): string {
    return `${task}.${subject.replace(':', '-')}.${seed}.${this.#inputs}.json`;
  }
}

function inputsHash(request: ProbeRunRequest): string {
  const { store, sets, kind, training, heldOut, labels } = request;
  const depends = {
    version: VERSION,
    features: basename(store.folder),
    labels: labels.provenance,
    sets: sets.map(({ id, hashes }) => [id, labels.digestOfContent(hashes)]).sort(),
    kind,
    training,
    heldOut,
  };
  return sha256(canonicalJson(depends)).slice(0, 12);
}

interface Probe {
  readonly task: ProbeTask;
  readonly subject: Subject;
  readonly seed: number;
  readonly split: Split;
  readonly source: SplitSource | undefined;
}

/** Features, and their statistics over the training scenes of a split. */
interface SplitSource extends FeatureSource {
  readonly statistics: () => Promise<ChannelStatistics>;
}

/** The result of work that is done when it is first asked for. */
function once<Result>(work: () => Promise<Result>): () => Promise<Result> {
  let result: Promise<Result> | undefined;
  return () => {
    result ??= work();
    return result;
  };
}
