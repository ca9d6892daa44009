import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Target, targetOf } from '../target.js';
import { dav3, type Subject, smoothImages, VGGT, writeSubject } from './label-subjects.js';
import { type BenchOptions, emit, median, memoryFigures, statusMb } from './measure.js';
import { torchDevice } from './pytorch-peer.js';
import { openVfmPeer, type PeerRun, type VfmPeer } from './pytorch-vfm.js';

const BENCH = 'labels';
/** Where `--views` does not say. */
const VIEWS = 4;
const ROUNDS = 3;

type Case = (options: BenchOptions) => Promise<void>;

const caseOf =
  (subject: Subject): Case =>
  (options) =>
    benchSubject(subject, whereOf(BENCH, options));

/** Cases of `npm run bench -- labels`. */
export const LABEL_CASES: Readonly<Record<string, Case>> = {
  ...Object.fromEntries(
    ['da3-small', 'da3-base', 'da3-large', 'da3-giant'].map((name) => [name, caseOf(dav3(name))]),
  ),
  'vggt-1b': caseOf(VGGT),
};

/** What is measured, where, and on how many views. */
interface Where extends Target {
  readonly bench: string;
  readonly views: number;
}

/** @param bench its name in the lines that are printed. */
export const whereOf = (bench: string, options: BenchOptions): Where => ({
  bench,
  ...targetOf(options),
  views: options.views ?? VIEWS,
});

/**
 * Time per view, peak memory and agreement of depth beside the official model in PyTorch, by turns in the same minute.
 * Both processes hold the same weight file.
 */
export async function benchSubject(subject: Subject, where: Where): Promise<void> {
  const { bench, device, precision, views } = where;
  const folder = await mkdtemp(path.join(tmpdir(), 'spatialsv-bench-'));
  try {
    const weights = bench === 'gpu' ? await writeSubject(subject) : folder;
    if (weights === folder) await subject.write(folder);
    const pixels = smoothImages(subject, views);
    const images = path.join(folder, 'views.f32');
    writeFileSync(images, new Uint8Array(pixels.buffer));
    const [opened] = await Promise.allSettled([
      openVfmPeer({
        family: subject.family,
        variant: subject.variant,
        weights,
        images,
        shape: [views, subject.height, subject.width, 3],
        depth: path.join(folder, 'depth.f32'),
        device: torchDevice(device),
        precision,
      }),
    ]);
    const peer = opened.status === 'fulfilled' ? opened.value : undefined;
    try {
      await measure(subject, weights, pixels, peer, where);
    } finally {
      await peer?.close();
    }
    // After what we measured, which remains.
    if (opened.status === 'rejected') throw opened.reason;
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function measure(
  subject: Subject,
  folder: string,
  pixels: Float32Array,
  peer: VfmPeer | undefined,
  { bench, views, ...target }: Where,
): Promise<void> {
  const model = await subject.open(folder, target);
  const first = await watched(() => model.run(pixels, 'everything'));
  await model.run(pixels, 'labels');
  const ours: Watched[] = [];
  const labels: Watched[] = [];
  const theirs: PeerRun[] = [];
  await peer?.run();
  for (let round = 0; round < ROUNDS; round += 1) {
    ours.push(await watched(() => model.run(pixels, 'everything')));
    labels.push(await watched(() => model.run(pixels, 'labels')));
    if (peer !== undefined) theirs.push(await peer.run());
  }
  const memory = await memoryFigures(target.device);
  await model.dispose();
  const perView = median(ours.map(({ ms }) => ms)) / views;
  const perLabel = median(labels.map(({ ms }) => ms)) / views;
  const peak = Math.max(...ours.map(({ peakRssMb }) => peakRssMb));
  emit(bench, `${subject.family}-${subject.variant}`, {
    ...target,
    views,
    height: subject.height,
    width: subject.width,
    ms_per_view: perView,
    first_ms_per_view: first.ms / views,
    label_ms_per_view: perLabel,
    peak_rss_mb: peak,
    ...(bench === 'gpu' && memory),
    peak_own_memory_mb: Math.max(...ours.map(({ peakOwnMb }) => peakOwnMb)),
    ...(peer !== undefined && besidePeer(theirs, { views, perView, perLabel, peak })),
    ...(bench === 'gpu' && peer !== undefined && onDevice(theirs, { views, perLabel, ...memory })),
    ...(peer !== undefined && { depth_error: largestError(ours.at(-1)!.depth, peer.depth()) }),
  });
}

interface Ours {
  readonly views: number;
  readonly perView: number;
  readonly perLabel: number;
  readonly peak: number;
}

/** What `npm run bench -- gpu` calls these figures in all of its cases. */
function onDevice(
  theirs: readonly PeerRun[],
  ours: Pick<Ours, 'views' | 'perLabel'> & { readonly peak_mb: number },
) {
  const peak = Math.max(...theirs.map(({ peak_mb }) => peak_mb));
  return {
    label_ratio: ours.perLabel / (median(theirs.map(({ ms }) => ms)) / ours.views),
    pytorch_peak_mb: peak,
    peak_ratio: ours.peak_mb / peak,
  };
}

function besidePeer(theirs: readonly PeerRun[], { views, perView, perLabel, peak }: Ours) {
  const pytorch = median(theirs.map(({ ms }) => ms)) / views;
  const pytorchPeak = Math.max(...theirs.map(({ peak_rss_mb }) => peak_rss_mb));
  return {
    pytorch_ms_per_view: pytorch,
    time_ratio: perView / pytorch,
    label_time_ratio: perLabel / pytorch,
    pytorch_peak_rss_mb: pytorchPeak,
    memory_ratio: peak / pytorchPeak,
  };
}

/** Largest |a − b| / max(|b|, mean |b|). */
function largestError(a: Float32Array, b: Float32Array): number {
  const mean = b.reduce((sum, value) => sum + Math.abs(value), 0) / b.length;
  return a.reduce(
    (worst, value, i) => Math.max(worst, Math.abs(value - b[i]!) / Math.max(Math.abs(b[i]!), mean)),
    0,
  );
}

// ---------------------------------------------------------------------------------------------- memory

interface Watched {
  readonly ms: number;
  readonly depth: Float32Array;
  /** Peak of all resident memory, pages of mapped weights included. */
  readonly peakRssMb: number;
  /** Peak of the resident memory that no file backs. */
  readonly peakOwnMb: number;
}

/** Time and peak memory of one run. Memory is read from Linux' /proc; elsewhere it is not a number. */
async function watched(run: () => Promise<Float32Array>): Promise<Watched> {
  globalThis.gc?.();
  const linux = process.platform === 'linux';
  if (linux) writeFileSync('/proc/self/clear_refs', '5'); // Starts the peak anew.
  let own = 0;
  const sample = () => {
    own = Math.max(own, statusMb('RssAnon') ?? Number.NaN);
  };
  const timer = linux ? setInterval(sample, 20) : undefined;
  const started = performance.now();
  const depth = await run();
  const ms = performance.now() - started;
  clearInterval(timer);
  return { ms, depth, peakRssMb: statusMb('VmHWM') ?? Number.NaN, peakOwnMb: own };
}
