import { readFileSync } from 'node:fs';
import {
  arenaMemory,
  gpuMemory,
  type Precision,
  providerNamed,
  trimMemory,
} from '@spatialsv/engine';

/** Milliseconds of each repetition after warm-up runs. */
export async function times(
  action: () => Promise<unknown>,
  options: { readonly warm: number; readonly repeats: number },
): Promise<number[]> {
  for (let i = 0; i < options.warm; i += 1) await action();
  const measured: number[] = [];
  for (let i = 0; i < options.repeats; i += 1) {
    const started = performance.now();
    await action();
    measured.push(performance.now() - started);
  }
  return measured;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Seconds by the clock, and of all cores. */
export interface Cost {
  readonly wall: number;
  readonly cpu: number;
}

/** What some work costs this process. */
export async function costOf(work: () => Promise<unknown>): Promise<Cost> {
  const [started, before] = [performance.now(), process.cpuUsage()];
  await work();
  const { user, system } = process.cpuUsage(before);
  return { wall: (performance.now() - started) / 1000, cpu: (user + system) / 1e6 };
}

/** Peak resident memory of this process so far, MiB. */
export const peakRssMb = (): number => process.resourceUsage().maxRSS / 1024;

export const rssMb = (): number => process.memoryUsage.rss() / 2 ** 20;

/** Memory of the process that is not backed by a file (Linux; elsewhere all resident memory). */
export function ownMemoryMb(): number {
  globalThis.gc?.();
  return statusMb('RssAnon') ?? rssMb();
}

/** A line of Linux' account of this process, such as `VmHWM`, MiB; undefined elsewhere. */
export function statusMb(key: string): number | undefined {
  if (process.platform !== 'linux') return undefined;
  const line = new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(
    readFileSync('/proc/self/status', 'utf8'),
  );
  return line === null ? undefined : Number(line[1]) / 1024;
}

/** Memory of an NVIDIA GPU. */
export interface GpuFigures {
  /** The most that tensors and working memory of this process took at once, as its allocator counted: MiB. */
  readonly peak_mb: number;
  /** What is taken now, by whatever process, with what CUDA's libraries hold: MiB. */
  readonly gpu_used_mb: number;
}

/** @returns undefined for a device that is no NVIDIA GPU. */
async function gpuFigures(device: string): Promise<GpuFigures | undefined> {
  const [isCuda, number] = /^cuda(?::(\d+))?$/.exec(device) ?? [];
  if (isCuda === undefined) return undefined;
  const index = Number(number ?? 0);
  const { peakBytes } = await arenaMemory(index);
  return { peak_mb: peakBytes / 2 ** 20, gpu_used_mb: gpuMemory(index).usedBytes / 2 ** 20 };
}

/** Of an NVIDIA GPU; on another device the peak of this process. */
export const memoryFigures = async (
  device: string,
): Promise<GpuFigures | Pick<GpuFigures, 'peak_mb'>> =>
  (await gpuFigures(device)) ?? { peak_mb: peakRssMb() };

/** Gives back what nothing of this process holds of the memory of a device. */
export async function freeMemory(device: string): Promise<void> {
  const provider = providerNamed(device);
  if (provider !== undefined) await trimMemory(provider);
}

/** What a bench may be told beside the names of its cases. */
export interface BenchOptions {
  /** `--device`. */
  readonly device: string;
  /** `--small`: small sizes, to see that everything runs. */
  readonly small: boolean;
  /** `--precision`; without it that of the device. */
  readonly precision?: Precision;
  /** `--views`: images that a geometry model sees at once. */
  readonly views?: number;
}

/** Numbers of one measured case; names carry their units. */
export type Figures = Readonly<Record<string, number | string | null>>;

/** A bench prints one JSON object a line. */
export function emit(bench: string, name: string, figures: Figures): void {
  const rounded = Object.entries(figures).map(([key, value]) => [
    key,
    typeof value === 'number' ? Number(value.toPrecision(4)) : value,
  ]);
  process.stdout.write(
    `${JSON.stringify({ bench, case: name, ...Object.fromEntries(rounded) })}\n`,
  );
}
