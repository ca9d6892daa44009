import { fileURLToPath } from 'node:url';
import { qwen25Vl } from '@spatialsv/adapter-qwen25vl';
import { type Target, targetOf } from '../target.js';
import { openGpuAnswers } from './gpu-answers.js';
import { type GpuSize, parameterCount, SIZE_3B, SIZE_05B, SIZE_SMALL } from './gpu-sizes.js';
import { openGpuStep } from './gpu-step.js';
import { measureGpuTraining, VIEWS_4096, VIEWS_SMALL } from './gpu-train.js';
import { dav3, SMALL_SUBJECTS, type Subject, VGGT, writeSubject } from './label-subjects.js';
import { benchSubject, whereOf } from './labels-bench.js';
import { LARGE_SIZES, largeCheckpoint } from './large-checkpoint.js';
import { type BenchOptions, emit, freeMemory, median, memoryFigures } from './measure.js';
import { openPeer, type PeerFigures, torchDevice } from './pytorch-peer.js';
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

const benchLabels = (subject: Subject, options: BenchOptions) =>
  benchSubject(subject, whereOf(BENCH, options));

/** What PyTorch measured, after us: both states do not fit one GPU. Nothing where there is no PyTorch. */
async function peerRounds(
  what: 'step' | 'answers',
  size: GpuSize,
  { device, precision }: Target,
): Promise<PeerFigures[]> {
  const on = { device: torchDevice(device), precision };
  const peer = await openPeer(SCRIPT, { what, ...size, ...on });
  if (peer === undefined) return [];
  const [ours, theirs] = [parameterCount(size), peer.ready['parameters']];
  if (ours !== theirs)
    throw new Error(`the PyTorch peer has another network: ${theirs} parameters, expected ${ours}`);
  const rounds: PeerFigures[] = [];
  for (let round = 0; round < ROUNDS; round += 1) rounds.push(await peer.run());
  await peer.close();
  return rounds;
}

const medianOf = (rounds: readonly PeerFigures[], key: string): number =>
  median(rounds.map((figures) => figures[key]!));

/** The most memory that PyTorch took at once, and how much of it we take. */
function besideMemory(rounds: readonly PeerFigures[], peakMb: number) {
  const theirs = Math.max(...rounds.map(({ peak_mb }) => peak_mb!));
  return { pytorch_peak_mb: theirs, peak_ratio: peakMb / theirs };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

/** Forward and backward pass of all layers, each computed again, and AdamW. */
async function benchStep(name: string, size: GpuSize, options: BenchOptions): Promise<void> {
  const target = targetOf(options);
  const started = performance.now();
  const step = await openGpuStep(size, target);
  const firstLoss = await step.run();
  const firstMs = performance.now() - started;
  const ours: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) ours.push(await timed(step.run));
  const memory = await memoryFigures(target.device);
  const lastLoss = await step.run();
  await step.dispose();
  await freeMemory(target.device);
  const stepMs = median(ours);
  const own = {
    ...target,
    tokens: size.tokens,
    layers: size.layers,
    step_ms: stepMs,
    ...memory,
    first_ms: firstMs,
    first_loss: firstLoss,
    last_loss: lastLoss,
  };
  emit(BENCH, name, own);
  const theirs = await peerRounds('step', size, target);
  if (theirs.length === 0) return;
  emit(BENCH, name, {
    ...own,
    ...besideMemory(theirs, own.peak_mb),
    pytorch_step_ms: medianOf(theirs, 'step_ms'),
    step_ratio: stepMs / medianOf(theirs, 'step_ms'),
  });
}

/** A prompt and single tokens after it, with bfloat16 weights. */
async function benchAnswers(size: GpuSize, options: BenchOptions): Promise<void> {
  const target = targetOf(options);
  const answers = await openGpuAnswers(size, target);
  await answers.prefill();
  for (let i = 0; i < 2; i += 1) await answers.step();
  const [prefills, tokens]: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round += 1) {
    prefills.push(await timed(answers.prefill));
    for (let i = 0; i < DECODED; i += 1) tokens.push(await timed(answers.step));
  }
  const memory = await memoryFigures(target.device);
  await answers.dispose();
  await freeMemory(target.device);
  const own = {
    ...target,
    prompt_tokens: size.tokens,
    prefill_ms: median(prefills),
    token_ms: median(tokens),
    ...memory,
  };
  emit(BENCH, 'answers-3b', own);
  const theirs = await peerRounds('answers', size, target);
  if (theirs.length === 0) return;
  emit(BENCH, 'answers-3b', {
    ...own,
    ...besideMemory(theirs, own.peak_mb),
    pytorch_prefill_ms: medianOf(theirs, 'prefill_ms'),
    pytorch_token_ms: medianOf(theirs, 'token_ms'),
    prefill_ratio: own.prefill_ms / medianOf(theirs, 'prefill_ms'),
    token_ratio: own.token_ms / medianOf(theirs, 'token_ms'),
  });
}

/** The decoder, the projector and 3D heads are trained, with all losses; the encoder works in a program of its own. */
async function benchTraining(options: BenchOptions): Promise<void> {
  const views = options.small ? VIEWS_SMALL : VIEWS_4096;
  const target = targetOf(options);
  const model = await checkpointOf(options);
  const { tokens, stepMs, memory } = await measureGpuTraining(model, views, target);
  emit(BENCH, 'train-3b', { ...target, tokens, step_ms: stepMs, ...memory });
  // The run would go on.
  process.exit();
}
