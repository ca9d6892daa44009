import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withCleanup } from '@spatialsv/core';
import { sizeOf } from '@spatialsv/engine';
import { completeConfig, type RunConfig } from '../config/run-config.js';
import type { TrainConfig } from '../config/schema.js';
import { gpuOf, peakMemoryMb } from '../device-memory.js';
import { type TrainedGroup, trainedMode } from '../groups.js';
import type { StepMetrics } from '../run-folder/metrics-log.js';
import type { Recompute } from '../step/open-runner.js';
import type { ProgramUsage } from '../step/program-usage.js';
import { openHeads, type TrainOptions, train } from '../train.js';
import { truncateBackbone } from './truncate-backbone.js';

/** What a few steps of a run took, with some layers of its decoder. */
export interface TrainingMeasurement {
  readonly layers: number;
  /** A sample's share of a step: its images, features and labels, forward and backward pass, update. */
  readonly secondsPerSample: number;
  /** Peak resident memory of the process; with a GPU, what it took of the memory there. */
  readonly peakMemoryMb: number;
  /** What a further layer holds: its parameters, gradients and moments; of what is frozen, the pages of its file. */
  readonly layerMemoryMb: number;
  /** What programs took, counted in their graphs: results that are held at once, and on the CPU what describes their nodes. */
  readonly programMemoryMb: number;
  /** Threads that prepared samples; their memory is that of the process. */
  readonly threads: number;
  /** Of the run. */
  readonly samples: number;
}

export interface MeasureRequest {
  /** Layers of the decoder that are kept. */
  readonly layers: number;
  readonly recompute: Recompute;
}

/**
 * Steps of a measurement, of so many samples at most. As long as lengths are new, programs are compiled beside them; the fastest step is one
 * that waited for none. Always as many, so that two measurements take the same samples and make the same programs.
 */
const STEPS = 10;
const LARGEST_BATCH = 4;
const MIB = 2 ** 20;
/** What a further node of a program takes in ONNX Runtime and in JavaScript: programs of 276 nodes took 2.0 MiB, of 1426 nodes 7.6. */
const NODE_BYTES = 5 * 1024;

/**
 * Trains a few steps with a part of the decoder, into a folder that goes again. Peak memory is that of the process, so it takes
 * one of its own.
 * @throws as training does.
 */
export async function measureTraining(
  config: TrainConfig,
  options: TrainOptions,
  { layers, recompute }: MeasureRequest,
): Promise<TrainingMeasurement> {
  const run = completeConfig(config, options.backbone.config);
  const { steps, samples, usage } = await trainBriefly(config, run, options, { layers, recompute });
  const fastest = Math.max(...steps.slice(1).map(({ samplesPerSecond }) => samplesPerSecond));
  return {
    layers,
    secondsPerSample: 1 / fastest,
    peakMemoryMb: await peakMemoryMb(config.device),
    layerMemoryMb: layerBytes(run, options.backbone) / MIB,
    programMemoryMb: programBytes(usage, config.device) / MIB,
    threads: options.preparation?.threads.size ?? 0,
    samples,
  };
}

/** The steps, the samples of the whole run, and what programs took. */
async function trainBriefly(
  config: TrainConfig,
  run: RunConfig,
  options: TrainOptions,
  { layers, recompute }: MeasureRequest,
) {
  const { taps } = await openHeads(run, options);
  const out = await mkdtemp(join(tmpdir(), 'spatialsv-plan-'));
  const brief = {
    ...{ ...config, out, recompute, checkpointEvery: 0 },
    batchSize: Math.min(config.batchSize, LARGEST_BATCH),
    layers: taps.map((tap) => Math.min(tap, layers)),
    schedule: { ...config.schedule, epochs: undefined, steps: STEPS },
  };
  const steps: StepMetrics[] = [];
  const seen = { steps, samples: 0, usage: { workingBytes: 0, nodes: 0 } as ProgramUsage };
  const listener: Pick<TrainOptions, 'onStep' | 'onStart' | 'onUsage'> = {
    onStep: (metrics) => steps.push(metrics),
    onStart: ({ samples }) => {
      seen.samples = samples;
    },
    onUsage: (usage) => {
      seen.usage = usage;
    },
  };
  const backbone = truncateBackbone(options.backbone, layers);
  const work = () => train(brief, { ...options, backbone, ...listener });
  await withCleanup(work, () => rm(out, { recursive: true }));
  return seen;
}

/** Where a device has memory of its own, what describes a program lies elsewhere. */
const programBytes = ({ workingBytes, nodes }: ProgramUsage, device: string): number =>
  workingBytes + (gpuOf(device) === undefined ? NODE_BYTES * nodes : 0);

/** For each trained value: itself, gradient, two moments, and its average where there is one. */
const trainedBytes = ({ optimizer, ema }: RunConfig): number =>
  (ema === undefined ? 8 : 12) + (optimizer.stateBits === 8 ? 2 : 8);

/** Bytes that a decoder layer holds for the whole run. */
function layerBytes(
  config: RunConfig,
  { decoder, weights, parameterGroup }: TrainOptions['backbone'],
): number {
  const names = Object.values(decoder.layers.at(-1)?.names ?? {});
  return names.reduce((sum, name) => {
    const { shape, byteLength } = weights[name]!;
    const values = sizeOf(shape);
    const mode = trainedMode(config, name, parameterGroup(name) as TrainedGroup);
    const rank = config.lora.rank;
    const updated = shape.length === 2 ? rank * (shape[0]! + shape[1]!) : 0;
    const trained = mode === 'full' ? values : mode === 'lora' ? updated : 0;
    // What is trained whole was read out of its file, whose pages are not kept.
    const pages = mode === 'full' ? 0 : byteLength;
    return sum + pages + trainedBytes(config) * trained;
  }, 0);
}
