import { createRandom, initialiseShapes, SpatialError } from '@spatialsv/core';
import { type DeviceTensor, type ProgramCache, takeValues } from '@spatialsv/engine';
import { clipCoefficient } from '../optimizer/adamw.js';
import { AdamwOptimizer } from '../optimizer/adamw-optimizer.js';
import type { Tensors } from '../optimizer/group-update.js';
import { rateFactor } from '../optimizer/schedule.js';
import { mapValues } from '../records.js';
import type { LossSum, Metrics, ProbeBatch, ProbeModel } from './probe-model.js';
import type { ProbeSet, Split } from './view-sets.js';

/** How probes are trained. */
export interface ProbeTraining {
  /** Optimiser steps, the same for every probe: what differs between sites is then what they hold. */
  readonly steps: number;
  /** View sets to a step. */
  readonly batchSize: number;
  readonly learningRate: number;
}

export const PROBE_TRAINING: ProbeTraining = { steps: 400, batchSize: 2, learningRate: 2e-3 };

/** A point of a learning curve: mean losses, of the steps since the point before and of the held-out views. */
export interface CurvePoint {
  readonly step: number;
  readonly trainLoss: number;
  readonly heldOutLoss: number;
}

export interface TrainedProbe {
  readonly metrics: Metrics;
  readonly curve: readonly CurvePoint[];
}

const ADAMW = { betas: [0.9, 0.999], epsilon: 1e-8, weightDecay: 1e-2 } as const;
const WARMUP_RATIO = 0.05;
const MAX_NORM = 1;
/** Points of a learning curve. */
const POINTS = 6;
/** Held-out view sets of the points before the last, at most. */
const POINT_SETS = 8;

/** Optimisers by the shapes of their parameters: probes of equal shapes take turns, because each would be compiled anew. */
export class ProbeOptimizers {
  readonly #device: string;
  readonly #known = new Map<string, Promise<AdamwOptimizer>>();

  constructor(device: string) {
    this.#device = device;
  }

  /** An optimiser at its first step, with fresh parameters. */
  async fresh(shapes: ProbeModel['shapes'], seed: number): Promise<AdamwOptimizer> {
    const values = initialiseShapes(shapes, seed);
    const key = JSON.stringify(shapes);
    const known = this.#known.get(key);
    if (known === undefined) {
      const parameters = mapValues(values, (value) => ({ ...value, group: 'spatial' as const }));
      this.#known.set(key, AdamwOptimizer.create(parameters, ADAMW, this.#device));
      return this.#known.get(key)!;
    }
    const optimizer = await known;
    for (const [name, { data }] of Object.entries(values)) {
      await optimizer.parameters[name]!.write(data);
      const zeros = new Float32Array(data.length);
      for (const kind of ['first', 'second', 'accumulators'] as const)
        await optimizer[kind][name]!.write(zeros);
    }
    return optimizer;
  }

  async dispose(): Promise<void> {
    for (const optimizer of this.#known.values()) await (await optimizer).dispose();
  }
}

export interface TrainProbeRequest {
  readonly model: ProbeModel;
  readonly split: Split;
  readonly training: ProbeTraining;
  readonly seed: number;
  readonly programs: ProgramCache;
  readonly optimizers: ProbeOptimizers;
  readonly signal?: AbortSignal | undefined;
  readonly onStep?: (() => void) | undefined;
}

/** Trains a probe on the training scenes and measures it on the held-out ones, as it is after the last step. */
export async function trainProbe(request: TrainProbeRequest): Promise<TrainedProbe> {
  const { model, split, training, seed, optimizers, signal } = request;
  const optimizer = await optimizers.fresh(model.shapes, seed);
  const curve: CurvePoint[] = [];
  const next = batchOrder(split.train, training.batchSize, seed);
  let since: LossSum = { loss: 0, count: 0 };
  let ahead = batchesAhead(model, next());
  for (let step = 1; step <= training.steps; step++) {
    signal?.throwIfAborted();
    const batches = await ahead;
    ahead = batchesAhead(model, step < training.steps ? next() : []);
    const found = await takeStep(request, optimizer, batches, step);
    since = { loss: since.loss + found.loss, count: since.count + found.count };
    request.onStep?.();
    if (step < training.steps && isPoint(step, training.steps)) {
      const some = split.heldOut.slice(0, POINT_SETS);
      const held = await model.measure(optimizer.parameters, some, signal);
      curve.push(curvePoint(step, since, held));
      since = { loss: 0, count: 0 };
    }
  }
  const held = await model.measure(optimizer.parameters, split.heldOut, signal);
  return { metrics: held.metrics, curve: [...curve, curvePoint(training.steps, since, held)] };
}

/** Batches that are made while a step runs. A failure shows when they are awaited. */
function batchesAhead(model: ProbeModel, sets: readonly ProbeSet[]) {
  const batches = model.batches(sets);
  batches.catch(() => undefined);
  return batches;
}

const isPoint = (step: number, steps: number): boolean =>
  Math.floor((step * POINTS) / steps) > Math.floor(((step - 1) * POINTS) / steps);

const meanLoss = ({ loss, count }: LossSum): number => loss / Math.max(1, count);

const curvePoint = (step: number, since: LossSum, held: LossSum): CurvePoint => ({
  step,
  trainLoss: meanLoss(since),
  heldOutLoss: meanLoss(held),
});

/** The view sets of one step after the other: shuffled anew whenever all were seen. */
function batchOrder(sets: readonly ProbeSet[], size: number, seed: number) {
  const random = createRandom(seed + 1);
  let waiting: ProbeSet[] = [];
  return (): readonly ProbeSet[] => {
    const batch: ProbeSet[] = [];
    while (batch.length < Math.min(size, sets.length)) {
      if (waiting.length === 0) waiting = random.shuffle(sets);
      batch.push(waiting.pop()!);
    }
    return batch;
  };
}

async function takeStep(
  { model, training, programs }: TrainProbeRequest,
  optimizer: AdamwOptimizer,
  batches: readonly ProbeBatch[],
  step: number,
): Promise<LossSum> {
  let [loss, count] = [0, 0];
  for (const batch of batches) {
    loss += await addGradientsOf(model, programs, optimizer, batch);
    count += batch.count;
  }
  requireFiniteLoss(loss, step);
  const scale = 1 / Math.max(1, count);
  const norm = (await optimizer.gradientNorm()) * scale;
  const factor = rateFactor(step, {
    steps: training.steps + 1,
    warmupRatio: WARMUP_RATIO,
    type: 'cosine',
  });
  const rate = training.learningRate * factor;
  const rates = { 'language-model': 0, projector: 0, spatial: rate };
  await optimizer.step(step, rates, scale * clipCoefficient(norm, MAX_NORM));
  return { loss, count };
}

function requireFiniteLoss(loss: number, step: number): void {
  if (Number.isFinite(loss)) return;
  throw new SpatialError({
    code: 'NON_FINITE',
    message: `step ${step} of a probe: expected a finite loss, found ${loss}`,
    hint: 'Train the probes with a smaller --learning-rate.',
  });
}

async function addGradientsOf(
  model: ProbeModel,
  programs: ProgramCache,
  optimizer: AdamwOptimizer,
  batch: ProbeBatch,
): Promise<number> {
  const state: Record<'parameters' | 'accumulators', Tensors> = optimizer;
  const { parameters, accumulators } = state;
  const { loss } = await programs.use(
    `step ${batch.key}`,
    () => model.compileStep(batch),
    async (program) =>
      (await program.run({
        parameters,
        accumulators,
        scale: { ...model.scale },
        ...(batch.inputs as object),
      })) as { loss: DeviceTensor },
  );
  return (await takeValues(loss))[0]!;
}
