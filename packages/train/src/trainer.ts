import { join } from 'node:path';
import {
  errorMessage,
  extendError,
  type FolderLock,
  joinErrors,
  SpatialError,
  withCleanup,
} from '@spatialsv/core';
import {
  type CheckpointContent,
  pruneCheckpoints,
  saveCheckpoint,
} from './checkpoint/checkpoint.js';
import type { RunConfig } from './config/run-config.js';
import { PackReader } from './data/pack-reader.js';
import { type LeftOutSample, type ReadySample, RunSamples } from './data/run-samples.js';
import type { SampleInputsBuilder } from './data/sample-inputs.js';
import { epochLength } from './data/sample-order.js';
import type { TrainingData } from './data/training-data.js';
import type { GradientMetrics, GradientStatistics } from './gradient-statistics.js';
import { baseRates, type RatesByGroup } from './groups.js';
import { type HeldOut, type HeldOutMetrics, scoreOf, teacherMetrics } from './held-out.js';
import type { ModelState } from './model-state.js';
import { explainNonFiniteGradient, requireFiniteLosses } from './non-finite.js';
import { clipCoefficient } from './optimizer/adamw.js';
import { rateFactor } from './optimizer/schedule.js';
import { explainOutOfMemory } from './out-of-memory.js';
import { mapValues } from './records.js';
import { type BestRecord, writeBest } from './run-folder/best.js';
import { appendMetrics, type StepMetrics, syncMetrics } from './run-folder/metrics-log.js';
import { appendSkip, SKIPPED_FILE, type SkipRecord } from './run-folder/skipped.js';
import type { EventFile } from './run-folder/tensorboard.js';
import type { Recompute } from './step/open-runner.js';
import type { SampleLosses, SampleRunner } from './step/sample-runner.js';
import { LOSS_TERMS, type LossTerm } from './step/terms.js';
import type { Watch } from './watch.js';

export interface TrainerParts {
  readonly config: RunConfig;
  readonly backbone: CheckpointContent['backbone'];
  readonly state: ModelState;
  readonly data: TrainingData;
  readonly builder: Pick<SampleInputsBuilder, 'build'>;
  readonly runner: SampleRunner;
  /** What the runner computes twice. */
  readonly recompute: Recompute;
  /** Of the run folder. */
  readonly lock: Pick<FolderLock, 'requireHeld'>;
  /** Optimiser steps of the whole run. */
  readonly steps: number;
  /** Samples that are measured while the run goes on. */
  readonly heldOut?: HeldOut | undefined;
  readonly gradients?: Pick<GradientStatistics, 'measure'> | undefined;
  /** Samples that are lifted while the run goes on. */
  readonly watch?: Pick<Watch, 'look'> | undefined;
  readonly events?: EventFile | undefined;
  /** The best checkpoint so far. */
  readonly best?: BestRecord | undefined;
  /** Samples that were left out before, by position. */
  readonly skips: ReadonlyMap<number, SkipRecord>;
  /** Samples that are prepared at a time. */
  readonly preparedAtOnce?: number | undefined;
}

export interface TrainerEvents {
  readonly onStep?: (metrics: StepMetrics) => void;
  readonly onCheckpoint?: (folder: string) => void;
  /** A sample that could not be read is left out. */
  readonly onSkip?: (skip: SkipRecord) => void;
}

/** Where a run is, or goes on. */
export interface TrainerPosition {
  /** Optimiser steps taken. */
  readonly step: number;
  /** Samples seen. */
  readonly position: number;
  /** The checkpoint of this state, where there is one. */
  readonly checkpoint?: string;
}

interface BatchEntry extends ReadySample {
  readonly losses: SampleLosses;
}

interface Batch {
  readonly entries: readonly BatchEntry[];
  /** Seconds for which the step had to wait for samples. */
  readonly waited: number;
}

/** A step that was taken, and what was looked at beside it. */
interface TakenStep {
  readonly batch: readonly BatchEntry[];
  /** Seconds for which the step had to wait for samples. */
  readonly waited: number;
  readonly norm: number;
  readonly rates: RatesByGroup;
  readonly termWeights: StepMetrics['termWeights'];
  readonly seconds: number;
  readonly heldOut: HeldOutMetrics | undefined;
  readonly gradients: GradientMetrics | undefined;
}

/** The training loop: batches by accumulation, AdamW with schedule and clipping, metrics and checkpoints. */
export class Trainer {
  readonly #parts: TrainerParts;
  readonly #events: TrainerEvents;
  /** Optimiser steps taken. */
  #step: number;
  #position: number;
  /** The newest checkpoint on the disk, and its step. */
  #saved: { readonly step: number; readonly folder: string } | undefined;
  #best: BestRecord | undefined;
  #saveFailed = false;
  /** From the first change of a step to its last; for good once one has failed between them. */
  #isUpdating = false;
  readonly #samples: RunSamples;
  readonly #packs: PackReader;

  constructor(parts: TrainerParts, events: TrainerEvents, from: TrainerPosition) {
    this.#parts = parts;
    this.#events = events;
    this.#step = from.step;
    this.#position = from.position;
    const { step, checkpoint } = from;
    this.#best = parts.best;
    this.#samples = new RunSamples(parts);
    const { packTokens: tokens, batchSize } = parts.config;
    this.#packs = new PackReader(this.#samples, {
      ...{ batchSize, tokens, end: parts.steps * batchSize },
      onPack: (pack) => parts.runner.prepare(pack.map(({ inputs }) => inputs)),
    });
    if (checkpoint !== undefined) this.#saved = { step, folder: checkpoint };
  }

  /**
   * Trains to the last step, or until the signal: the step under way is finished and saved.
   * @returns whether the run is complete.
   * @throws what ended the run, after saving the state before it where that is known and finite; the message says what was
   *   saved. SpatialError NON_FINITE names what is not finite and where it came from.
   */
  async run(signal?: AbortSignal): Promise<boolean> {
    try {
      await withCleanup(
        () => this.#takeSteps(signal),
        () => this.#samples.close(),
      );
    } catch (error) {
      throw await this.#saveAfter(error);
    }
    await this.save();
    return this.#step >= this.#parts.steps;
  }

  async #takeSteps(signal: AbortSignal | undefined): Promise<void> {
    const { config, steps } = this.#parts;
    if (this.#step === 0) await this.#parts.watch?.look(0);
    while (this.#step < steps && !signal?.aborted) {
      await this.#takeStep();
      await this.#lookAtWatched();
      const due = config.checkpointEvery > 0 && this.#step % config.checkpointEvery === 0;
      if (due) await this.save();
    }
  }

  /**
   * Writes a checkpoint of the current state, unless it is on the disk; older ones go only then.
   * @returns its folder.
   * @throws SpatialError NON_FINITE; USAGE when another process has taken the folder.
   */
  async save(): Promise<string> {
    const folder = await this.#write();
    const { out, keepCheckpoints } = this.#parts.config;
    await pruneCheckpoints(out, keepCheckpoints, this.#best?.step);
    return folder;
  }

  async #write(): Promise<string> {
    const { config, backbone, state, lock } = this.#parts;
    if (this.#saved?.step === this.#step) return this.#saved.folder;
    this.#saveFailed = true;
    await lock.requireHeld();
    if (this.#step > 0) await syncMetrics(config.out);
    const { state: adaptive } = state.adaptive;
    const record = {
      ...{ step: this.#step, position: this.#position, seed: config.seed },
      ...(adaptive && { adaptive }),
    };
    const folder = await saveCheckpoint(config.out, {
      ...state,
      ...{ backbone, record, adapter: adapterOf(config, state) },
    }).catch((error: unknown) => {
      throw extendError(error, `saving step ${this.#step}: ${errorMessage(error)}`);
    });
    this.#saveFailed = false;
    this.#saved = { step: this.#step, folder };
    this.#events.onCheckpoint?.(folder);
    return folder;
  }

  /**
   * Saves what was reached before a failure. No older checkpoint goes for it: a run that ends so may have gone wrong before.
   * @returns the error to throw.
   */
  async #saveAfter(error: unknown): Promise<unknown> {
    if (this.#saveFailed) return this.#extend(error, 'nothing more was saved');
    if (this.#isUpdating)
      return this.#extend(
        error,
        `step ${this.#step + 1} changed a part of the parameters, so nothing was saved`,
      );
    try {
      const folder = await this.#write();
      return extendError(
        error,
        `${errorMessage(error)}; the state after step ${this.#step} is saved: ${folder}`,
      );
    } catch (failure) {
      return this.#extend(joinErrors(error, failure), 'nothing more was saved');
    }
  }

  #extend(error: unknown, what: string): Error {
    const last =
      this.#saved === undefined
        ? 'there is no checkpoint'
        : `the last checkpoint is ${this.#saved.folder}`;
    return extendError(error, `${errorMessage(error)}; ${what}; ${last}`);
  }

  async #takeStep(): Promise<void> {
    const { state } = this.#parts;
    const started = performance.now();
    const { entries: batch, waited } = await this.#accumulate();
    const gradients = await this.#lookAtGradients(batch);
    // What was skipped is not counted: the others weigh as much as in a smaller batch.
    const norm = (await state.optimizer.gradientNorm()) / batch.length;
    if (!Number.isFinite(norm)) throw await this.#explain(batch);
    const termWeights = state.adaptive.current;
    const rates = await this.#update(norm, batch.length);
    const seconds = (performance.now() - started) / 1000;
    const heldOut = await this.#measure();
    await this.#report({ batch, waited, norm, rates, termWeights, seconds, heldOut, gradients });
    if (heldOut !== undefined) await this.#keepBest(heldOut);
  }

  /** Changes parameters, averages and weights of terms, with the summed gradients of so many samples. @returns the rates. */
  async #update(norm: number, samples: number): Promise<RatesByGroup> {
    const { config, state, steps } = this.#parts;
    const { warmupRatio, type } = config.schedule;
    const factor = rateFactor(this.#step, { steps, warmupRatio, type });
    const rates = mapValues(baseRates(config), (rate) => rate * factor) as RatesByGroup;
    const scale = clipCoefficient(norm, config.optimizer.gradientClip) / samples;
    this.#isUpdating = true;
    await state.optimizer.step(this.#step + 1, rates, scale);
    await state.average?.update(this.#step + 1);
    await state.adaptive.step(this.#step + 1, samples, factor);
    this.#step += 1;
    this.#position += config.batchSize;
    this.#isUpdating = false;
    return rates;
  }

  /** Gradients of each term of the first sample, before the step is taken, at the first step and every so many. */
  #lookAtGradients([first]: readonly BatchEntry[]): Promise<GradientMetrics | undefined> {
    const { config, gradients } = this.#parts;
    const every = config.gradientStatisticsEvery;
    const isDue = every !== undefined && this.#step % every === 0;
    return isDue && gradients !== undefined
      ? gradients.measure(first!.inputs)
      : Promise.resolve(undefined);
  }

  async #lookAtWatched(): Promise<void> {
    const { config, watch, steps } = this.#parts;
    const isDue = this.#step % (config.watch?.every ?? steps) === 0 || this.#step === steps;
    if (isDue) await watch?.look(this.#step);
  }

  /** Measures the held-out samples where it is their turn. */
  async #measure(): Promise<HeldOutMetrics | undefined> {
    const { config, heldOut, steps } = this.#parts;
    const { evaluation } = config;
    if (heldOut === undefined || evaluation === undefined) return undefined;
    const isDue = this.#step % evaluation.every === 0 || this.#step === steps;
    return isDue ? heldOut.measure() : undefined;
  }

  /** Saves the state as the best one where it is. */
  async #keepBest(metrics: HeldOutMetrics): Promise<void> {
    const { out, evaluation } = this.#parts.config;
    const criterion = evaluation!.best;
    const score = scoreOf(metrics, criterion);
    if (score === undefined || !(score > (this.#best?.score ?? Number.NEGATIVE_INFINITY))) return;
    await this.#write();
    this.#best = { step: this.#step, criterion, score };
    await writeBest(out, this.#best);
    await this.save();
  }

  /** Forward and backward passes of one batch; the next samples are read, and their programs compiled, while one is computed. */
  async #accumulate(): Promise<Batch> {
    const { config, state } = this.#parts;
    const entries: BatchEntry[] = [];
    let waited = 0;
    for (let done = 0; done < config.batchSize; ) {
      const position = this.#position + done;
      const asked = performance.now();
      const pack = await this.#packs.take(position);
      waited += (performance.now() - asked) / 1000;
      for (const sample of pack.leftOut) await this.#leaveOut(sample);
      await state.dropout.draw(position);
      if (pack.samples.length > 0) entries.push(...(await this.#compute(pack.samples)));
      done = pack.behind - this.#position;
    }
    if (entries.length === 0) throw nothingLeft(config.out, this.#step + 1);
    return { entries, waited };
  }

  /** Forward and backward pass of samples that are computed together. */
  async #compute(pack: readonly ReadySample[]): Promise<readonly BatchEntry[]> {
    const { config, runner, recompute, state } = this.#parts;
    const samples = pack.map(({ inputs }) => inputs);
    const losses = await runner.run(samples).catch((error: unknown) => {
      const { train, packTokens } = config;
      throw explainOutOfMemory(error, pack, this.#step + 1, { recompute, train, packTokens });
    });
    return pack.map((sample, index) => {
      requireFiniteLosses(losses[index]!, sample.id, this.#step + 1);
      state.adaptive.add(losses[index]!);
      return { ...sample, losses: losses[index]! };
    });
  }

  async #leaveOut({ skip, isNew }: LeftOutSample): Promise<void> {
    if (isNew) await appendSkip(this.#parts.config.out, skip);
    this.#events.onSkip?.(skip);
  }

  #explain(batch: readonly BatchEntry[]) {
    const { runner, state } = this.#parts;
    return explainNonFiniteGradient(batch, runner, state.optimizer, this.#step + 1);
  }

  async #report(taken: TakenStep): Promise<void> {
    const { config, events } = this.#parts;
    const metrics = this.#metricsOf(taken);
    await appendMetrics(config.out, metrics);
    await events?.write(metrics);
    this.#events.onStep?.(metrics);
  }

  #metricsOf({ batch, waited, seconds, ...taken }: TakenStep): StepMetrics {
    const { config, data } = this.#parts;
    const teachers = teacherMetrics(batch.map(({ inputs }) => inputs.agreement));
    const skipped = config.batchSize - batch.length;
    const tokens = batch.reduce((sum, { inputs }) => sum + inputs.tokens, 0);
    return {
      step: this.#step,
      epoch: this.#position / epochLength(data.sets),
      losses: meanLosses(batch),
      ...(taken.termWeights && { termWeights: taken.termWeights }),
      learningRates: taken.rates,
      gradientNorm: taken.norm,
      samplesPerSecond: batch.length / seconds,
      tokensPerSecond: tokens / seconds,
      waitedSeconds: waited,
      ...(skipped > 0 && { skipped }),
      ...(teachers && { teachers }),
      ...(taken.gradients && { gradients: taken.gradients }),
      ...(taken.heldOut && { heldOut: taken.heldOut }),
    };
  }
}

const nothingLeft = (out: string, step: number) =>
  new SpatialError({
    code: 'DATA_INVALID',
    message: `step ${step}: none of its samples could be read`,
    hint: `${join(out, SKIPPED_FILE)} names them and says why; restore their files, then go on with --resume.`,
  });

/** What checkpoints say of an adapter, where the run trains one. */
function adapterOf({ lora, model }: RunConfig, { loraLayers }: ModelState) {
  const { rank, alpha, dropout } = lora;
  return loraLayers.length === 0 ? undefined : { rank, alpha, dropout, baseModel: model };
}

function meanLosses(batch: readonly BatchEntry[]): Record<LossTerm, number | null> {
  const means = LOSS_TERMS.map((term) => {
    const values = batch.flatMap(({ losses }) => losses[term] ?? []);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    return [term, values.length === 0 ? null : mean];
  });
  return Object.fromEntries(means);
}
