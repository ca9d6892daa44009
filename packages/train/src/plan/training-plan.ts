import type { TrainConfig } from '../config/schema.js';
import { freeBytesOf } from '../device-memory.js';
import { countSteps } from '../optimizer/schedule.js';
import type { Recompute } from '../step/open-runner.js';
import type { MeasureRequest, TrainingMeasurement } from './measure-training.js';

/** What a run will take. */
export interface TrainingPlan {
  /**
   * Peak resident memory of the process, MiB; pages of weights that are read from their files included. With a GPU it is the memory
   * there that counts.
   */
  readonly peakMemoryMb: number;
  /** An optimiser step: all samples of a batch and the update. */
  readonly secondsPerStep: number;
  readonly steps: number;
  /** What is computed twice; what `auto` stands for here. */
  readonly recompute: Recompute;
  /** Memory of the device that is free now, MiB. */
  readonly freeMemoryMb: number;
  /** What was measured for it. */
  readonly measured: readonly TrainingMeasurement[];
}

/** Measures in a process of its own. */
export type Measure = (request: MeasureRequest) => Promise<TrainingMeasurement>;

const MIB = 2 ** 20;
/** Share of the free memory that a run may take before `auto` computes layers again. */
const SHARE = 0.6;

/**
 * Predicts peak memory and time from a short measurement of this machine: the run's own step on some of its samples, with a
 * few layers of the decoder, twice; both grow evenly with the layers.
 * @param layers of the decoder.
 */
export async function planTraining(
  config: TrainConfig,
  layers: number,
  measure: Measure,
): Promise<TrainingPlan> {
  const freeMemoryMb = freeBytesOf(config.device) / MIB;
  const first = config.recompute === 'auto' ? 'none' : config.recompute;
  const plan = await planFor(first, { config, layers, measure });
  if (config.recompute !== 'auto' || plan.peakMemoryMb <= SHARE * freeMemoryMb)
    return { ...plan, freeMemoryMb };
  return { ...(await planFor('layer', { config, layers, measure })), freeMemoryMb };
}

async function planFor(
  recompute: Recompute,
  { config, layers, measure }: { config: TrainConfig; layers: number; measure: Measure },
): Promise<Omit<TrainingPlan, 'freeMemoryMb'>> {
  const measured: TrainingMeasurement[] = [];
  for (const count of measuredLayers(config, layers))
    measured.push(await measure({ layers: count, recompute }));
  return {
    peakMemoryMb: peakAt(measured, layers),
    secondsPerStep: config.batchSize * secondsAt(measured, layers),
    steps: countSteps(config.schedule, measured[0]!.samples, config.batchSize),
    recompute,
    measured,
  };
}

/** Shallow decoders are measured whole, and those of which single layers are trained by name. */
const WHOLE = 4;
/**
 * The second measurement has half of the layers up to so many, a quarter of more: what both miss by is multiplied on the way to all of them,
 * and steps of deep models vary less.
 */
const HALF = 8;

function measuredLayers({ trained = [], train, lora }: TrainConfig, layers: number) {
  const patterns = [...trained, ...Object.keys(train.names), ...(lora.targets ?? [])];
  const namesLayers = patterns.some((pattern) => /\.\d+\b/.test(pattern));
  if (layers <= WHOLE || namesLayers) return [layers];
  const more = Math.max(WHOLE, Math.min(HALF, layers / 2), layers / 4);
  return [2, Math.round(more)];
}

/** Seconds of a sample on the straight line through two measurements; one alone is of the whole. */
export function secondsAt(measured: readonly TrainingMeasurement[], layers: number): number {
  const { more, slope } = lineOf(measured, ({ secondsPerSample }) => secondsPerSample);
  return more.secondsPerSample + slope * (layers - more.layers);
}

/**
 * Peak memory, MiB. A further layer adds what it holds and what programs take for it. Both are counted: two processes differ by more than
 * a small layer, as their libraries and collectors start.
 */
export function peakAt(measured: readonly TrainingMeasurement[], layers: number): number {
  const { more, slope } = lineOf(measured, ({ programMemoryMb }) => programMemoryMb);
  return more.peakMemoryMb + (more.layerMemoryMb + slope) * (layers - more.layers);
}

function lineOf(
  measured: readonly TrainingMeasurement[],
  of: (measurement: TrainingMeasurement) => number,
) {
  const [few, more] = [measured[0]!, measured.at(-1)!];
  const distance = more.layers - few.layers;
  return { more, slope: distance === 0 ? 0 : Math.max(0, of(more) - of(few)) / distance };
}
