import { fileURLToPath } from 'node:url';
import { qwen25Vl } from '@spatialsv/adapter-qwen25vl';
import { defaultPrecision } from '@spatialsv/engine';
import { openGpuAnswers } from './gpu-answers.js';
import { type GpuSize, SIZE_3B, SIZE_05B, SIZE_SMALL } from './gpu-sizes.js';
import { openGpuStep } from './gpu-step.js';
import { measureGpuTraining, VIEWS_4096, VIEWS_SMALL } from './gpu-train.js';
import { benchSubject, dav3, SMALL_SUBJECTS, VGGT, writeSubject } from './labels-bench.js';
import { LARGE_SIZES, largeCheckpoint } from './large-checkpoint.js';
import { type BenchOptions, emit, freeMemory, gpuFigures, median, peakRssMb } from './measure.js';
import { openPeer } from './pytorch-peer.js';
import { cachedFolder } from './random-checkpoint.js';

const BENCH = 'gpu';
const ROUNDS = 5;
const DECODED = 16;
/** `reference/bench_gpu.py` of the repository; absent in an installed package. */
const SCRIPT = fileURLToPath(new URL('../../../../reference/bench_gpu.py', import.meta.url));

type Case = (options: BenchOptions) => Promise<void>;

/** Cases of `npm run bench -- gpu --device cuda [--small]`: times of the device beside PyTorch on the same one. */
export const GPU_CASES: Readonly<Record<string, Case>> = {
  files: writeFiles,
  'step-0.5b': (options) => benchStep('step-0.5b', sized(SIZE_05B, options), options),
  'step-3b': (options) => benchStep('step-3b', sized(SIZE_3B, options), options),
  'answers-3b': (options) => benchAnswers(sized(SIZE_3B, options), options),
  'da3-large': (options) => benchLabels(subjects(options).dav3, options),
  'vggt-1b': (options) => benchLabels(subjects(options).vggt, options),
  'train-3b': benchTraining,
};

/** What the other cases read, in the user's cache: writing it takes longer than they do, and no GPU. */
async function writeFiles(options: BenchOptions): Promise<void> {
  const { dav3, vggt } = subjects(options);
  await writeSubject(dav3);
  await writeSubject(vggt);
  await checkpointOf(options);
}

const subjects = ({ small }: BenchOptions) =>
  small ? SMALL_SUBJECTS : { vggt: VGGT, dav3: dav3('da3-large') };

const checkpointOf = ({ small }: BenchOptions): Promise<string> =>
  small
    ? cachedFolder('gpu-small', (folder) => qwen25Vl.writeTiny({ folder, seed: 1 }))
    : largeCheckpoint('large-3b', LARGE_SIZES['large-3b']!);

const sized = (size: GpuSize, { small }: BenchOptions): GpuSize => (small ? SIZE_SMALL : size);

const benchLabels = (subject: Parameters<typeof benchSubject>[0], { device }: BenchOptions) =>
  benchSubject(subject, { bench: BENCH, device });

/** Of the GPU; on another device the peak of this process. */
const memoryFigures = async (device: string) =>
  (await gpuFigures(device)) ?? { peak_mb: peakRssMb() };

type PeerFigures = Readonly<Record<string, number>>;

/** What PyTorch measured, after us: both states do not fit one GPU. Nothing where there is no PyTorch. */
async function peerRounds(
  what: 'step' | 'answers',
  size: GpuSize,
  { device }: BenchOptions,
): Promise<PeerFigures[]> {
  const settings = { what, ...size, device: device.startsWith('cuda') ? device : 'cpu' };
  const peer = await openPeer(SCRIPT, settings);
  const rounds: PeerFigures[] = [];
  for (let round = 0; peer !== undefined && round < ROUNDS; round += 1) {
    const figures = (await peer.run()) as PeerFigures | undefined;
    // It has ended, for want of memory perhaps.
    if (figures === undefined) return [];
    rounds.push(figures);
  }
  peer?.close();
  return rounds;
}

const peerMemory = (rounds: readonly PeerFigures[]) => ({
  pytorch_peak_mb: Math.max(...rounds.map(({ peak_mb }) => peak_mb!)),
});

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

/** Forward and backward pass of all layers, each computed again, and AdamW. */
async function benchStep(name: string, size: GpuSize, options: BenchOptions): Promise<void> {
  const started = performance.now();
  const step = await openGpuStep(size, options.device);
  const firstLoss = await step.run();
  const firstMs = performance.now() - started;
  const ours: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) ours.push(await timed(step.run));
  const memory = await memoryFigures(options.device);
  const lastLoss = await step.run();
  await step.dispose();
  await freeMemory(options.device);
  const stepMs = median(ours);
  const own = {
    device: options.device,
    precision: defaultPrecision(options.device),
    tokens: size.tokens,
    layers: size.layers,
    step_ms: stepMs,
    ...memory,
    first_ms: firstMs,
    first_loss: firstLoss,
    last_loss: lastLoss,
  };
  emit(BENCH, name, own);
  const theirs = await peerRounds('step', size, options);
  if (theirs.length === 0) return;
  emit(BENCH, name, {
    ...own,
    ...peerMemory(theirs),
    pytorch_step_ms: median(theirs.map(({ step_ms }) => step_ms!)),
    step_ratio: stepMs / median(theirs.map(({ step_ms }) => step_ms!)),
  });
}

/** A prompt and single tokens after it, with bfloat16 weights. */
async function benchAnswers(size: GpuSize, options: BenchOptions): Promise<void> {
  const answers = await openGpuAnswers(size, options.device);
  await answers.prefill();
  for (let i = 0; i < 2; i += 1) await answers.step();
  const [prefills, tokens]: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round += 1) {
    prefills.push(await timed(answers.prefill));
    for (let i = 0; i < DECODED; i += 1) tokens.push(await timed(answers.step));
  }
  const memory = await memoryFigures(options.device);
  await answers.dispose();
  await freeMemory(options.device);
  const own = {
    device: options.device,
    precision: defaultPrecision(options.device),
    prompt_tokens: size.tokens,
    prefill_ms: median(prefills),
    token_ms: median(tokens),
    ...memory,
  };
  emit(BENCH, 'answers-3b', own);
  const theirs = await peerRounds('answers', size, options);
  if (theirs.length === 0) return;
  emit(BENCH, 'answers-3b', {
    ...own,
    ...peerMemory(theirs),
    prefill_ratio: own.prefill_ms / median(theirs.map(({ prefill_ms }) => prefill_ms!)),
    token_ratio: own.token_ms / median(theirs.map(({ token_ms }) => token_ms!)),
  });
}

/** The decoder, the projector and 3D heads are trained, with all losses; the encoder works in a program of its own. */
async function benchTraining(options: BenchOptions): Promise<void> {
  const views = options.small ? VIEWS_SMALL : VIEWS_4096;
  const model = await checkpointOf(options);
  const { tokens, stepMs, memory } = await measureGpuTraining(model, views, options.device);
  emit(BENCH, 'train-3b', {
    device: options.device,
    precision: defaultPrecision(options.device),
    tokens,
    step_ms: stepMs,
    ...(memory ?? { peak_mb: peakRssMb() }),
  });
  // The run would go on.
  process.exit();
}
