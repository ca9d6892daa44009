import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defaultPrecision } from '@spatialsv/engine';
import { openGpuAnswers } from './gpu-answers.js';
import { type GpuSize, SIZE_3B, SIZE_05B, SIZE_SMALL } from './gpu-sizes.js';
import { openGpuStep } from './gpu-step.js';
import { benchSubject, dav3, SMALL_SUBJECTS, VGGT } from './labels-bench.js';
import { type BenchOptions, emit, gpuFigures, median, peakRssMb } from './measure.js';
import { openPeer, type Peer } from './pytorch-peer.js';

const BENCH = 'gpu';
const ROUNDS = 5;
const DECODED = 16;
/** `reference/bench_gpu.py` of the repository; absent in an installed package. */
const SCRIPT = fileURLToPath(new URL('../../../../reference/bench_gpu.py', import.meta.url));

type Case = (options: BenchOptions) => Promise<void>;

/** Cases of `npm run bench -- gpu --device cuda [--small]`: times of the device beside PyTorch on the same one. */
export const GPU_CASES: Readonly<Record<string, Case>> = {
  'step-0.5b': (options) => benchStep('step-0.5b', sized(SIZE_05B, options), options),
  'step-3b': (options) => benchStep('step-3b', sized(SIZE_3B, options), options),
  'answers-3b': (options) => benchAnswers(sized(SIZE_3B, options), options),
  'vggt-1b': (options) => benchLabels(options.small ? SMALL_SUBJECTS.vggt : VGGT, options),
  'da3-large': (options) =>
    benchLabels(options.small ? SMALL_SUBJECTS.dav3 : dav3('da3-large'), options),
};

const sized = (size: GpuSize, { small }: BenchOptions): GpuSize => (small ? SIZE_SMALL : size);

const benchLabels = (subject: Parameters<typeof benchSubject>[0], { device }: BenchOptions) =>
  benchSubject(subject, { bench: BENCH, device });

/** Of the GPU; on another device the peak of this process. */
const memoryFigures = async (device: string) =>
  (await gpuFigures(device)) ?? { peak_mb: peakRssMb() };

async function openGpuPeer(
  what: 'step' | 'answers',
  size: GpuSize,
  { device }: BenchOptions,
): Promise<Peer | undefined> {
  if (!existsSync(SCRIPT)) return undefined;
  return openPeer(SCRIPT, { what, ...size, device: device.startsWith('cuda') ? device : 'cpu' });
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

const ratio = (ours: number, theirs: readonly number[]): number | null =>
  theirs.length === 0 ? null : ours / median(theirs);

/** Forward and backward pass of all layers, each computed again, and AdamW; by turns with the peer. */
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
  // Both states do not fit one GPU: the peer comes after.
  const peer = await openGpuPeer('step', size, options);
  const theirs: Readonly<Record<string, number>>[] = [];
  for (let round = 0; peer !== undefined && round < ROUNDS; round += 1)
    theirs.push(await peer.run());
  peer?.close();
  const stepMs = median(ours);
  emit(BENCH, name, {
    device: options.device,
    precision: defaultPrecision(options.device),
    tokens: size.tokens,
    layers: size.layers,
    step_ms: stepMs,
    step_ratio: ratio(
      stepMs,
      theirs.map(({ step_ms }) => step_ms!),
    ),
    ...memory,
    first_ms: firstMs,
    first_loss: firstLoss,
    last_loss: lastLoss,
    ...(theirs.length > 0 && {
      pytorch_step_ms: median(theirs.map(({ step_ms }) => step_ms!)),
      pytorch_peak_mb: Math.max(...theirs.map(({ peak_mb }) => peak_mb!)),
    }),
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
  const peer = await openGpuPeer('answers', size, options);
  const theirs: Readonly<Record<string, number>>[] = [];
  for (let round = 0; peer !== undefined && round < ROUNDS; round += 1)
    theirs.push(await peer.run());
  peer?.close();
  emit(BENCH, 'answers-3b', {
    device: options.device,
    precision: defaultPrecision(options.device),
    prompt_tokens: size.tokens,
    prefill_ms: median(prefills),
    token_ms: median(tokens),
    prefill_ratio: ratio(
      median(prefills),
      theirs.map(({ prefill_ms }) => prefill_ms!),
    ),
    token_ratio: ratio(
      median(tokens),
      theirs.map(({ token_ms }) => token_ms!),
    ),
    ...memory,
    ...(theirs.length > 0 && {
      pytorch_peak_mb: Math.max(...theirs.map(({ peak_mb }) => peak_mb!)),
    }),
  });
}
