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
import { machineInfo, ProgramCache } from '@spatialsv/engine';
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
import { inLanes, type Take } from './lanes.js';
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
const VERSION = 2;

/**
 * Trains and measures every probe of a request, several at once: each is written when it is finished, under the hash of what it
 * depends on, so the same probe is never trained twice in a folder, whatever else is asked for.
 */
export async function runProbes(request: ProbeRunRequest): Promise<readonly ProbeResult[]> {
  await mkdir(request.folder, { recursive: true });
  const probes = probesOf(request);
  const lanes = Math.min(probes.length, lanesOf(request.device));
  const run = new ProbeRun(request, lanes);
  return inLanes(probes, lanes, request.signal, (take) => run.lane(take));
}

/** Native calls that Node makes at once; more lanes would wait for these. */
const MOST_LANES = 4;

/** Probes are small: on the CPU each runs on a thread of its own. A GPU runs one after the other anyway. */
const lanesOf = (device: string): number =>
  device === 'cpu' ? Math.min(MOST_LANES, machineInfo().threads) : 1;

/** Every probe of a request, those of one subject behind each other: they share what it reads. */
function probesOf({ sets, heldOut, seeds, subjects, tasks }: ProbeRunRequest): readonly Probe[] {
  const splits = new Map(seeds.map((seed) => [seed, splitByScene(sets, heldOut, seed)]));
  return subjects.flatMap((subject) =>
    tasks.flatMap((task) =>
      [...splits].map(([seed, split]): Probe => ({ task, subject, seed, split })),
    ),
  );
}

class ProbeRun {
  readonly #request: ProbeRunRequest;
  readonly #lanes: number;
  readonly #targets: ProbeTargets;
  readonly #sources = new Map<Subject, SubjectSource>();
  /** Of everything that all probes of the request depend on. */
  readonly #inputs: string;
  #steps = 0;

  constructor(request: ProbeRunRequest, lanes: number) {
    this.#request = request;
    this.#lanes = lanes;
    this.#targets = new ProbeTargets(request.labels, request.store);
    this.#inputs = inputsHash(request);
  }

  /** One probe after the other, with programs and optimisers of their own. @param take gives the next probe. */
  async lane(take: Take<Probe, ProbeResult>): Promise<void> {
    const { device } = this.#request;
    const tools: LaneTools = {
      programs: new ProgramCache(64),
      optimizers: new ProbeOptimizers(device),
    };
    try {
      while (await take((probe, signal) => this.#resultOf(probe, tools, signal)));
    } finally {
      await tools.programs.dispose();
      await tools.optimizers.dispose();
    }
  }

  async #resultOf(probe: Probe, tools: LaneTools, signal: AbortSignal): Promise<ProbeResult> {
    const { folder, training } = this.#request;
    const file = join(folder, this.#fileOf(probe));
    const known = await readTextIfThere(file);
    if (known !== undefined) {
      this.#advance(probe, training.steps);
      return JSON.parse(known) as ProbeResult;
    }
    const result = await this.#measured(probe, tools, signal);
    await writeFileAtomic(file, `${JSON.stringify(result)}\n`);
    return result;
  }

  /** @throws SpatialError naming the probe. */
  async #measured(probe: Probe, tools: LaneTools, signal: AbortSignal): Promise<ProbeResult> {
    const started = performance.now();
    const { task, subject, seed } = probe;
    try {
      const found =
        subject === 'constant'
          ? await this.#constant(probe)
          : await this.#train(probe, this.#source(subject), tools, signal);
      return { task, subject, seed, ...found, seconds: (performance.now() - started) / 1000 };
    } catch (error) {
      if (!SpatialError.isInstance(error)) throw error;
      throw extendError(error, `probe of ${task}, ${subject}, seed ${seed}: ${error.message}`);
    }
  }

  async #constant(probe: Probe) {
    const { task, split } = probe;
    const metrics =
      task === 'correspondence'
        ? await samePlace(this.#targets, split)
        : await constantMaps(task, this.#targets, split);
    this.#advance(probe, this.#request.training.steps);
    return { channels: 0, metrics, curve: [] };
  }

  async #train(
    probe: Probe,
    { source, statistics: statisticsOf }: SubjectSource,
    { programs, optimizers }: LaneTools,
    signal: AbortSignal,
  ) {
    const { training, device } = this.#request;
    const { split, seed, task } = probe;
    const statistics = await statisticsOf(split);
    const channels = statistics.mean.length;
    const context = { targets: this.#targets, programs, device, source, statistics, channels };
    const model = this.#model(task, context);
    const onStep = () => this.#advance(probe, 1);
    const request = { model, split, training, seed, programs, optimizers, signal, onStep };
    return { channels, ...(await trainProbe(request)) };
  }

  #model(task: ProbeTask, context: ProbeContext): ProbeModel {
    if (task === 'correspondence') return new MatchProbe(context);
    return new DenseProbe(task satisfies DenseTask, this.#request.kind, context);
  }

  /** What a subject reads, kept while its probes run: as many subjects as there are lanes share the memory. */
  #source(subject: TrainedSubject): SubjectSource {
    const known = this.#sources.get(subject) ?? this.#open(subject);
    this.#sources.delete(subject);
    this.#sources.set(subject, known);
    const oldest = [...this.#sources.keys()].slice(0, -this.#lanes);
    for (const each of oldest) this.#sources.delete(each);
    return known;
  }

  #open(subject: TrainedSubject): SubjectSource {
    const source = keptFeatures(this.#features(subject), CACHE_BYTES / this.#lanes);
    const known = new Map<Split, Promise<ChannelStatistics>>();
    // The statistics of a split are the same for every task.
    const statistics = (split: Split) => {
      const found = known.get(split) ?? channelStatistics(source, split.train);
      known.set(split, found);
      return found;
    };
    return { source, statistics };
  }

  #features(subject: TrainedSubject): FeatureSource {
    if (subject === 'random') return randomFeatures(this.#targets, 0);
    if (subject === 'label-features') return labelFeatures(this.#targets);
    return storedFeatures(this.#request.store, subject);
  }

  #advance({ task, subject, seed }: Probe, steps: number): void {
    this.#steps += steps;
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
}

/** Those that read something. */
type TrainedSubject = Exclude<Subject, 'constant'>;

/** Features of a subject, and their statistics over the training scenes of a split. */
interface SubjectSource {
  readonly source: FeatureSource;
  readonly statistics: (split: Split) => Promise<ChannelStatistics>;
}

/** Programs and optimisers, which only one probe uses at a time. */
interface LaneTools {
  readonly programs: ProgramCache;
  readonly optimizers: ProbeOptimizers;
}

/** Bytes of features that are kept in memory, of all subjects that are under way. */
const CACHE_BYTES = 2 ** 30;
