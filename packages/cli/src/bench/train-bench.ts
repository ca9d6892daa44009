import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { qwen25Vl } from '@spatialsv/adapter-qwen25vl';
import {
  loadTrainConfig,
  planTraining,
  type StepMetrics,
  type TrainConfigInput,
  train,
  trainConfigSchema,
} from '@spatialsv/train';
import { syntheticSource, writeDataset } from '@spatialsv/vfm-synthetic';
import { measureInChild } from '../commands/train-plan.js';
import type { StepSize } from './decoder-step.js';
import { openStep } from './engine-bench.js';
import {
  LARGE_SIZES,
  largeCheckpoint,
  QWEN_SIZES,
  type QwenSize,
  qwenOfSize,
} from './large-checkpoint.js';
import { emit, median, peakRssMb } from './measure.js';
import { noPeer, openPeer } from './pytorch-peer.js';

const BENCH = 'train';
/** `reference/bench_train.py` of the repository; absent in an installed package. */
const PEER = fileURLToPath(new URL('../../../../reference/bench_train.py', import.meta.url));

/** 59 million parameters. */
const DECODER: StepSize = {
  name: 'decoder-60m',
  hiddenSize: 512,
  intermediateSize: 2048,
  heads: 8,
  layers: 12,
  vocabularySize: 8192,
  tokens: 512,
};

/** 495 million parameters in the decoder. */
const SIZE_500M: QwenSize = {
  ...QWEN_SIZES['large-100m']!,
  hidden_size: 1280,
  intermediate_size: 3456,
  num_hidden_layers: 24,
  num_attention_heads: 10,
  num_key_value_heads: 2,
  mrope_section: [16, 24, 24],
};

/** Small enough to try the bench itself. */
const SIZE_TRIAL: QwenSize = {
  ...QWEN_SIZES['large-100m']!,
  hidden_size: 256,
  intermediate_size: 512,
  num_hidden_layers: 3,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  vocab_size: 4096,
  mrope_section: [16, 24, 24],
};

interface PlannedSize {
  readonly hiddenSize: number;
  readonly layers: number;
  readonly train: 'full' | 'lora';
  readonly recompute: 'none' | 'layer';
}

/** Runs whose time and memory are predicted and then measured. */
const PLANNED: readonly PlannedSize[] = [
  { hiddenSize: 128, layers: 8, train: 'full', recompute: 'none' },
  { hiddenSize: 256, layers: 12, train: 'lora', recompute: 'layer' },
  { hiddenSize: 512, layers: 16, train: 'full', recompute: 'layer' },
];

/** Cases of `npm run bench -- train`. Those that end in `-trial` only show that the bench works. */
export const TRAIN_CASES: Readonly<Record<string, () => Promise<void>>> = {
  'decoder-60m': () => benchDecoder(DECODER, 9),
  'tiny-heads': benchHeads,
  'lora-500m': async () =>
    benchLora('lora-500m', await largeCheckpoint('train-500m', qwenOfSize(SIZE_500M))),
  'lora-3b': async () =>
    benchWhole('lora-3b', await largeCheckpoint('large-3b', LARGE_SIZES['large-3b']!)),
  ...Object.fromEntries(
    [0, 1, 2].map((index) => [`plan-${index + 1}`, () => benchPlan(PLANNED[index]!)]),
  ),
  'decoder-trial': () => benchDecoder({ ...DECODER, name: 'decoder-trial', layers: 1 }, 3),
  'lora-trial': async () =>
    benchLora('lora-trial', await largeCheckpoint('train-trial', qwenOfSize(SIZE_TRIAL))),
  'whole-trial': async () =>
    benchWhole('whole-trial', await largeCheckpoint('train-trial', qwenOfSize(SIZE_TRIAL))),
};

/** Everything is trained, by turns with PyTorch: forward, backward, AdamW. */
async function benchDecoder(size: StepSize, rounds: number): Promise<void> {
  const step = await openStep(size);
  const peer = await openPeer(PEER, { kind: 'decoder', ...size });
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = -2; round < rounds; round++) {
    const started = performance.now();
    await step.forwardBackward();
    await step.update();
    if (round >= 0) ours.push(performance.now() - started);
    const answer = await peer?.run();
    if (answer !== undefined && round >= 0) theirs.push(answer['step_ms']!);
  }
  const peak = await peer?.run();
  report(size.name, { tokens: size.tokens, ours, peakMb: peakRssMb() }, theirs, peak?.['peak_mb']);
  await peer?.close();
  await step.program.dispose();
  await step.optimizer.dispose();
}

interface Measured {
  readonly tokens: number;
  /** Milliseconds of steps. */
  readonly ours: readonly number[];
  readonly peakMb: number;
}

function report(
  name: string,
  { tokens, ours, peakMb }: Measured,
  theirs: readonly number[] = [],
  theirPeakMb?: number,
): void {
  const has = theirs.length > 0 && theirPeakMb !== undefined;
  emit(BENCH, name, {
    tokens,
    step_ms: median(ours),
    peak_mb: peakMb,
    pytorch_step_ms: has ? median(theirs) : null,
    pytorch_peak_mb: theirPeakMb ?? null,
    time_ratio: has ? median(ours) / median(theirs) : null,
    peak_ratio: has ? peakMb / theirPeakMb : null,
  });
}

/** A run of a process: its steps after those that compile, and what a sample of it was. */
async function runTraining(
  model: string,
  input: Partial<TrainConfigInput>,
  views: number,
  steps: number,
): Promise<Measured & { readonly config: ReturnType<typeof trainConfigSchema.parse> }> {
  const folder = await mkdtemp(path.join(tmpdir(), 'spatialsv-bench-'));
  try {
    const size = { width: 224, height: 224, views };
    const dataset = { scenes: 1, seed: 1, questionsPerScene: 1, preface: false, ...size };
    await writeDataset({ folder: path.join(folder, 'data'), split: 'tinybench', ...dataset });
    const data = {
      path: path.join(folder, 'data/raw/MindCube_tinybench.jsonl'),
      format: 'mindcube',
    };
    const config = trainConfigSchema.parse({
      ...{ model, out: path.join(folder, 'run'), data: [data], source: 'synthetic' },
      ...{ batchSize: 1, checkpointEvery: 0, schedule: { steps, warmupRatio: 0 } },
      imageBudget: { maxPixels: 224 * 224 },
      ...input,
    });
    const backbone = await qwen25Vl.open(model, { maxPixels: 224 * 224 });
    const source = config.arm === 'text' ? undefined : await syntheticSource.open({});
    const metrics: StepMetrics[] = [];
    await train(config, { backbone, source, onStep: (step) => metrics.push(step) });
    await source?.dispose();
    const last = metrics.slice(Math.min(3, steps - 1));
    const { samplesPerSecond, tokensPerSecond } = last[0]!;
    return {
      config,
      tokens: Math.round(tokensPerSecond / samplesPerSecond),
      ours: last.map((step) => 1000 / step.samplesPerSecond),
      peakMb: peakRssMb(),
    };
  } finally {
    await rm(folder, { recursive: true });
  }
}

interface PeerSteps {
  readonly theirs: readonly number[];
  readonly peak?: number | undefined;
}

/** Steps of the peer, after two to warm up. Where it fails, for want of memory perhaps, what we measured remains. */
const runPeer = (settings: object, rounds: number): Promise<PeerSteps> =>
  stepsOfPeer(settings, rounds).catch((error: Error) => noPeer(error.message) ?? { theirs: [] });

async function stepsOfPeer(settings: object, rounds: number): Promise<PeerSteps> {
  const peer = await openPeer(PEER, settings);
  if (peer === undefined) return { theirs: [] };
  const theirs: number[] = [];
  let peak: number | undefined;
  for (let round = -2; round < rounds; round++) {
    const answer = await peer.run();
    if (round >= 0) theirs.push(answer['step_ms']!);
    peak = answer['peak_mb'];
  }
  await peer.close();
  return { theirs, peak };
}

const RATES = { languageModel: 1e-4, projector: 1e-4, spatial: 1e-4 };

/** A tiny Qwen2.5-VL with heads, four views of 224², all losses; images are encoded once, on both sides. */
async function benchHeads(): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'spatialsv-bench-model-'));
  try {
    await qwen25Vl.writeTiny({ folder, seed: 1 });
    const heads = { preset: 'tiny' as const };
    const measured = await runTraining(
      folder,
      { heads, optimizer: { learningRates: RATES } },
      4,
      12,
    );
    const { tokens, config } = measured;
    const settings = { kind: 'heads', folder, tokens, views: 4, grid: [8, 8], heads: config.heads };
    const { theirs, peak } = await runPeer({ ...settings, losses: config.losses }, 9);
    report('tiny-heads', measured, theirs, peak);
  } finally {
    await rm(folder, { recursive: true });
  }
}

const LORA: Partial<TrainConfigInput> = {
  train: { llm: 'lora', mm: 'full' },
  lora: { rank: 16, alpha: 32 },
  recompute: 'layer',
  optimizer: { learningRates: RATES },
};

/** Low-rank updates of a frozen decoder that is computed again layer by layer, and the projector; text loss alone. */
async function benchLora(name: string, folder: string): Promise<void> {
  const measured = await runTraining(folder, { ...LORA, arm: 'text', source: 'none' }, 6, 7);
  const { theirs, peak } = await runPeer(
    { kind: 'lora', folder, tokens: measured.tokens, views: 6, grid: [8, 8], rank: 16, alpha: 32 },
    4,
  );
  report(name, measured, theirs, peak);
}

/** Low-rank updates, heads and all losses on two views; nothing else trains that on a CPU of 24 GB. */
async function benchWhole(name: string, folder: string): Promise<void> {
  const measured = await runTraining(folder, { ...LORA, heads: { preset: 'small' } }, 2, 5);
  emit(BENCH, name, {
    tokens: measured.tokens,
    seconds_per_step: median(measured.ours) / 1000,
    peak_mb: measured.peakMb,
  });
}

/** What `train --plan` predicts from a part of the layers, beside what all of them take. */
async function benchPlan({ hiddenSize, layers, train: mode, recompute }: PlannedSize) {
  const folder = await mkdtemp(path.join(tmpdir(), 'spatialsv-bench-plan-'));
  try {
    await qwen25Vl.writeTiny({ folder: path.join(folder, 'model'), seed: 1, hiddenSize, layers });
    await writeDataset({
      ...{ folder: path.join(folder, 'data'), split: 'tinybench', scenes: 3, seed: 1, views: 2 },
      ...{ width: 84, height: 56, questionsPerScene: 3, preface: false },
    });
    const file = path.join(folder, 'config.yaml');
    const lines = [
      'model: model',
      'out: run',
      'data: [{ format: mindcube, path: data/raw/MindCube_tinybench.jsonl }]',
      'source: synthetic',
      'heads: { preset: tiny }',
      'batchSize: 2',
      `train: { llm: ${mode} }`,
      `recompute: ${recompute}`,
    ];
    await writeFile(file, `${lines.join('\n')}\n`);
    const config = await loadTrainConfig(file);
    const plan = await planTraining(config, layers, (request) => measureInChild(file, request));
    const whole = await measureInChild(file, { layers, recompute });
    const seconds = config.batchSize * whole.secondsPerSample;
    emit(BENCH, `plan-${hiddenSize}x${layers}`, {
      ...{ predicted_mb: plan.peakMemoryMb, measured_mb: whole.peakMemoryMb },
      memory_ratio: plan.peakMemoryMb / whole.peakMemoryMb,
      ...{ predicted_s: plan.secondsPerStep, measured_s: seconds },
      time_ratio: plan.secondsPerStep / seconds,
    });
  } finally {
    await rm(folder, { recursive: true });
  }
}
