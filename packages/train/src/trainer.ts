import type { SampleV1 } from '@spatialsv/core';
import {
  type CheckpointContent,
  checkpointFolder,
  pruneCheckpoints,
  saveCheckpoint,
} from './checkpoint/checkpoint.js';
import type { TrainConfig } from './config/schema.js';
import type { SampleInputs, SampleInputsBuilder } from './data/sample-inputs.js';
import { SampleOrder } from './data/sample-order.js';
import { baseRates, type RatesByGroup } from './groups.js';
import type { ModelState } from './model-state.js';
import { explainNonFiniteGradient, requireFiniteLosses } from './non-finite.js';
import { clipCoefficient } from './optimizer/adamw.js';
import { rateFactor } from './optimizer/schedule.js';
import { mapValues } from './records.js';
import { appendMetrics, type StepMetrics } from './run-folder/metrics-log.js';
import type { SampleLosses, SampleStep } from './step/sample-step.js';
import { LOSS_TERMS, type LossTerm } from './step/step-program.js';

export interface TrainerParts {
  readonly config: TrainConfig;
  readonly backbone: CheckpointContent['backbone'];
  readonly state: ModelState;
  readonly samples: readonly SampleV1[];
  readonly builder: Pick<SampleInputsBuilder, 'build'>;
  readonly runner: SampleStep;
  /** Optimiser steps of the whole run. */
  readonly steps: number;
}

export interface TrainerEvents {
  readonly onStep?: (metrics: StepMetrics) => void;
  readonly onCheckpoint?: (folder: string) => void;
}

interface BatchEntry {
  readonly id: string;
  readonly inputs: SampleInputs;
  readonly losses: SampleLosses;
}

/** The training loop: batches by accumulation, AdamW with schedule and clipping, metrics and checkpoints. */
export class Trainer {
  readonly #parts: TrainerParts;
  readonly #events: TrainerEvents;
  readonly #order: SampleOrder;
  /** Optimiser steps taken. */
  #step: number;
  #position: number;
  #saved: number | undefined;
  #next: Promise<{ id: string; inputs: SampleInputs }> | undefined;

  /** @param from step and position to go on from. */
  constructor(
    parts: TrainerParts,
    events: TrainerEvents,
    from: { readonly step: number; readonly position: number },
  ) {
    this.#parts = parts;
    this.#events = events;
    this.#order = new SampleOrder(parts.samples.length, parts.config.seed);
    this.#step = from.step;
    this.#position = from.position;
  }

  /**
   * Trains to the last step, or until the signal: the step under way is finished and saved.
   * @returns whether the run is complete.
   * @throws SpatialError NON_FINITE after saving the last good state.
   */
  async run(signal?: AbortSignal): Promise<boolean> {
    const { config, steps } = this.#parts;
    try {
      while (this.#step < steps && !signal?.aborted) {
        await this.#takeStep();
        const due = config.checkpointEvery > 0 && this.#step % config.checkpointEvery === 0;
        if (due) await this.save();
      }
    } catch (error) {
      await this.save();
      throw error;
    } finally {
      await this.#next?.catch(() => undefined);
    }
    await this.save();
    return this.#step >= steps;
  }

  /** Writes a checkpoint of the current state, unless it is on disk. @returns its folder. */
  async save(): Promise<string> {
    const { config, backbone, state } = this.#parts;
    const folder = checkpointFolder(config.out, this.#step);
    if (this.#saved === this.#step) return folder;
    const record = { step: this.#step, position: this.#position, seed: config.seed };
    await saveCheckpoint(config.out, { ...state, backbone, record });
    await pruneCheckpoints(config.out, config.keepCheckpoints);
    this.#saved = this.#step;
    this.#events.onCheckpoint?.(folder);
    return folder;
  }

  async #takeStep(): Promise<void> {
    const { config, state, steps } = this.#parts;
    const started = performance.now();
    const batch = await this.#accumulate();
    const norm = (await state.optimizer.gradientNorm()) / config.batchSize;
    if (!Number.isFinite(norm)) throw await this.#explain(batch);
    const factor = rateFactor(this.#step, { steps, warmupRatio: config.schedule.warmupRatio });
    const rates = mapValues(baseRates(config), (rate) => rate * factor) as RatesByGroup;
    const scale = clipCoefficient(norm, config.optimizer.gradientClip) / config.batchSize;
    await state.optimizer.step(this.#step + 1, rates, scale);
    this.#step += 1;
    this.#position += config.batchSize;
    const seconds = (performance.now() - started) / 1000;
    await this.#report({ batch, norm, rates, seconds });
  }

  /** Forward and backward passes of one batch; the next sample is read while one is computed. */
  async #accumulate(): Promise<readonly BatchEntry[]> {
    const { config, runner } = this.#parts;
    const batch: BatchEntry[] = [];
    for (let index = 0; index < config.batchSize; index++) {
      const current = await (this.#next ?? this.#fetch(this.#position + index));
      this.#next = this.#fetch(this.#position + index + 1);
      this.#next.catch(() => undefined);
      const losses = await runner.run(current.inputs);
      requireFiniteLosses(losses, current.id, this.#step + 1);
      batch.push({ ...current, losses });
    }
    return batch;
  }

  async #fetch(position: number): Promise<{ id: string; inputs: SampleInputs }> {
    const { samples, builder, config } = this.#parts;
    const sample = samples[this.#order.at(position)]!;
    const isLabelled = position % config.source.every === 0 || sample.answer === undefined;
    return { id: sample.id, inputs: await builder.build(sample, isLabelled) };
  }

  #explain(batch: readonly BatchEntry[]) {
    const { runner, state } = this.#parts;
    return explainNonFiniteGradient(batch, runner, state.optimizer, this.#step + 1);
  }

  async #report(step: {
    readonly batch: readonly BatchEntry[];
    readonly norm: number;
    readonly rates: RatesByGroup;
    readonly seconds: number;
  }): Promise<void> {
    const { config, samples } = this.#parts;
    const tokens = step.batch.reduce((sum, { inputs }) => sum + inputs.tokens, 0);
    const metrics: StepMetrics = {
      step: this.#step,
      epoch: this.#position / samples.length,
      losses: meanLosses(step.batch),
      learningRates: step.rates,
      gradientNorm: step.norm,
      samplesPerSecond: step.batch.length / step.seconds,
      tokensPerSecond: tokens / step.seconds,
    };
    await appendMetrics(config.out, metrics);
    this.#events.onStep?.(metrics);
  }
}

function meanLosses(batch: readonly BatchEntry[]): Record<LossTerm, number | null> {
  const means = LOSS_TERMS.map((term) => {
    const values = batch.flatMap(({ losses }) => losses[term] ?? []);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    return [term, values.length === 0 ? null : mean];
  });
  return Object.fromEntries(means);
}
