import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  openDa3,
  variantConfig,
  writeRandomWeights as writeDav3,
  writeTiny as writeTinyDav3,
} from '@spatialsv/vfm-dav3';
import {
  RELEASED_VGGT,
  VggtModel,
  writeTinyVggt,
  writeRandomWeights as writeVggt,
} from '@spatialsv/vfm-vggt';
import { type Target, targetOf } from '../target.js';
import { emit, median, memoryFigures } from './measure.js';
import { torchDevice } from './pytorch-peer.js';
import { openVfmPeer, type PeerRun, type VfmPeer } from './pytorch-vfm.js';
import { cachedFolder } from './random-checkpoint.js';

const BENCH = 'labels';
const VIEWS = 4;
const ROUNDS = 3;

/** A geometry model of full size, with random weights. */
interface Subject {
  /** As the PyTorch peer knows it. */
  readonly family: 'vggt' | 'dav3';
  readonly variant: string;
  readonly height: number;
  readonly width: number;
  write(folder: string): Promise<void>;
  open(folder: string, target: Target): Promise<OpenSubject>;
}

interface OpenSubject {
  /**
   * @param pixels (V, H, W, 3) in 0..1.
   * @param what `everything` that the official model computes, or what `labels` need: no point head, no ray branch.
   * @returns (V, H, W) depth.
   */
  run(pixels: Float32Array, what: 'everything' | 'labels'): Promise<Float32Array>;
  dispose(): Promise<void>;
}

export const VGGT: Subject = {
  family: 'vggt',
  variant: 'VGGT-1B',
  height: 392,
  width: 518,
  write: (folder) => writeVggt(folder, RELEASED_VGGT, 1),
  open: (folder, target) => openVggt(folder, target, VGGT),
};

async function openVggt(
  folder: string,
  { device, precision }: Target,
  { height, width }: Pick<Subject, 'height' | 'width'>,
): Promise<OpenSubject> {
  const model = await VggtModel.open(folder, device, precision);
  const size = { views: VIEWS, height, width };
  return {
    run: async (pixels, what) => {
      const options = what === 'labels' ? { heads: ['depth'] as const } : {};
      return (await model.predictPixels(pixels, size, options)).depth!;
    },
    dispose: () => model.dispose(),
  };
}

export const dav3 = (variant: string): Subject => ({
  family: 'dav3',
  variant,
  height: 378,
  width: 504,
  write: (folder) => writeDav3(folder, variantConfig(variant), 1),
  open: (folder, target) => openDav3(folder, target, { height: 378, width: 504 }),
});

async function openDav3(
  folder: string,
  { device, precision }: Target,
  { height, width }: Pick<Subject, 'height' | 'width'>,
): Promise<OpenSubject> {
  const model = await openDa3(folder, device, precision);
  return {
    run: async (pixels, what) => {
      const views = { views: VIEWS, height, width, pixels: normalisedViews(pixels) };
      return (await model.predict(views, { features: 'last-tap', rays: what === 'everything' }))
        .depth;
    },
    dispose: () => model.dispose(),
  };
}

/** Models of the same structure that are small, to see that everything runs. */
export const SMALL_SUBJECTS: Readonly<Record<Subject['family'], Subject>> = {
  vggt: {
    ...{ family: 'vggt', variant: 'small', height: 56, width: 56 },
    write: (folder) => writeTinyVggt({ folder, seed: 1 }),
    open: (folder, target) => openVggt(folder, target, { height: 56, width: 56 }),
  },
  dav3: {
    ...{ family: 'dav3', variant: 'small', height: 56, width: 56 },
    write: (folder) => writeTinyDav3({ folder, seed: 1 }),
    open: (folder, target) => openDav3(folder, target, { height: 56, width: 56 }),
  },
};

/** Weights that stay in the user's cache. @returns their folder. */
export const writeSubject = ({ family, variant, write }: Subject): Promise<string> =>
  cachedFolder(`gpu-${family}-${variant}`.toLowerCase(), write);

/** Cases of `npm run bench -- labels`. */
export const LABEL_CASES: Readonly<Record<string, () => Promise<void>>> = {
  'da3-small': () => benchSubject(dav3('da3-small')),
  'da3-base': () => benchSubject(dav3('da3-base')),
  'da3-large': () => benchSubject(dav3('da3-large')),
  'da3-giant': () => benchSubject(dav3('da3-giant')),
  'vggt-1b': () => benchSubject(VGGT),
};

/** What is measured, and where. */
interface Where extends Target {
  readonly bench: string;
}

const ON_CPU: Where = { bench: BENCH, ...targetOf({ device: 'cpu' }) };

const MEAN = [0.485, 0.456, 0.406];
const DEVIATION = [0.229, 0.224, 0.225];

function normalisedViews(pixels: Float32Array): Float32Array[] {
  const size = pixels.length / VIEWS;
  return Array.from({ length: VIEWS }, (_, view) =>
    pixels
      .slice(view * size, (view + 1) * size)
      .map((value, i) => (value - MEAN[i % 3]!) / DEVIATION[i % 3]!),
  );
}

/**
 * Time per view, peak memory and agreement of depth beside the official model in PyTorch, by turns in the same minute.
 * Both processes hold the same weight file.
 */
export async function benchSubject(subject: Subject, where: Where = ON_CPU): Promise<void> {
  const { bench, device, precision } = where;
  const folder = await mkdtemp(path.join(tmpdir(), 'spatialsv-bench-'));
  try {
    const weights = bench === 'gpu' ? await writeSubject(subject) : folder;
    if (weights === folder) await subject.write(folder);
    const pixels = smoothImages(subject);
    const images = path.join(folder, 'views.f32');
    writeFileSync(images, new Uint8Array(pixels.buffer));
    const [opened] = await Promise.allSettled([
      openVfmPeer({
        family: subject.family,
        variant: subject.variant,
        weights,
        images,
        shape: [VIEWS, subject.height, subject.width, 3],
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
  { bench, ...target }: Where,
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
  const perView = median(ours.map(({ ms }) => ms)) / VIEWS;
  const perLabel = median(labels.map(({ ms }) => ms)) / VIEWS;
  const peak = Math.max(...ours.map(({ peakRssMb }) => peakRssMb));
  emit(bench, `${subject.family}-${subject.variant}`, {
    ...target,
    views: VIEWS,
    height: subject.height,
    width: subject.width,
    ms_per_view: perView,
    first_ms_per_view: first.ms / VIEWS,
    label_ms_per_view: perLabel,
    peak_rss_mb: peak,
    ...(bench === 'gpu' && memory),
    peak_own_memory_mb: Math.max(...ours.map(({ peakOwnMb }) => peakOwnMb)),
    ...(peer !== undefined && besidePeer(theirs, { perView, perLabel, peak })),
    ...(bench === 'gpu' && peer !== undefined && onDevice(theirs, { perLabel, ...memory })),
    ...(peer !== undefined && { depth_error: largestError(ours.at(-1)!.depth, peer.depth()) }),
  });
}

interface Ours {
  readonly perView: number;
  readonly perLabel: number;
  readonly peak: number;
}

/** What `npm run bench -- gpu` calls these figures in all of its cases. */
function onDevice(theirs: readonly PeerRun[], ours: { perLabel: number; peak_mb: number }) {
  const peak = Math.max(...theirs.map(({ peak_mb }) => peak_mb));
  return {
    label_ratio: ours.perLabel / (median(theirs.map(({ ms }) => ms)) / VIEWS),
    pytorch_peak_mb: peak,
    peak_ratio: ours.peak_mb / peak,
  };
}

function besidePeer(theirs: readonly PeerRun[], { perView, perLabel, peak }: Ours) {
  const pytorch = median(theirs.map(({ ms }) => ms)) / VIEWS;
  const pytorchPeak = Math.max(...theirs.map(({ peak_rss_mb }) => peak_rss_mb));
  return {
    pytorch_ms_per_view: pytorch,
    time_ratio: perView / pytorch,
    label_time_ratio: perLabel / pytorch,
    pytorch_peak_rss_mb: pytorchPeak,
    memory_ratio: peak / pytorchPeak,
  };
}

/** Smooth images that differ from view to view. */
function smoothImages({ height, width }: Subject): Float32Array {
  const pixels = new Float32Array(VIEWS * height * width * 3);
  for (let i = 0; i < pixels.length; i += 1) {
    const [colour, x] = [i % 3, Math.floor(i / 3) % width];
    const [y, view] = [Math.floor(i / 3 / width) % height, Math.floor(i / 3 / width / height)];
    pixels[i] =
      0.5 +
      0.45 * Math.sin(0.11 * (colour + 1) * x + 0.07 * (view + 2) * y + 0.5 * colour + 0.9 * view);
  }
  return pixels;
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

const STATUS = '/proc/self/status';

/** Time and peak memory of one run. Memory is read from Linux' /proc; elsewhere it is not a number. */
async function watched(run: () => Promise<Float32Array>): Promise<Watched> {
  globalThis.gc?.();
  const linux = existsSync(STATUS);
  if (linux) writeFileSync('/proc/self/clear_refs', '5'); // Starts the peak anew.
  let own = 0;
  const sample = () => {
    own = Math.max(own, statusMb('RssAnon'));
  };
  const timer = linux ? setInterval(sample, 20) : undefined;
  const started = performance.now();
  const depth = await run();
  const ms = performance.now() - started;
  clearInterval(timer);
  return { ms, depth, peakRssMb: linux ? statusMb('VmHWM') : Number.NaN, peakOwnMb: own };
}

const statusMb = (key: string): number =>
  Number(new RegExp(`${key}:\\s+(\\d+)`).exec(readFileSync(STATUS, 'utf8'))?.[1]) / 1024;
