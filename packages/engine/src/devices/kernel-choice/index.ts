import { isDeepStrictEqual } from 'node:util';
import type { KernelChoice, KernelSize } from '../../graph/choice.js';
import {
  cacheFile,
  keepMeasurement,
  type Measurement,
  machineKey,
  readMeasurement,
  userCacheFolder,
} from './cache.js';
import { findBlock, type MeasuredKernel, measureKernels, type TriedBlock } from './measure.js';
import { KERNELS_VARIABLE, type Override, parseOverride } from './override.js';
import { kernelTrials } from './trials.js';

/** How operations are written on this machine, and why. */
export interface KernelReport {
  /** `cache`: measured by earlier processes alone; `override`: the environment variable chooses every kind. */
  readonly source: 'measured' | 'cache' | 'override';
  /** Where the measurement is kept; null where it could not be. */
  readonly file: string | null;
  /** Time that this process spent on measuring and on the check of equality, ms. */
  readonly ms: number;
  /** Channels per block of the blocked layout that this process found equal to plain operators; null: none is. */
  readonly block: number | null;
  readonly tried: readonly TriedBlock[];
  readonly kernels: readonly MeasuredKernel[];
  /** Content of SPATIALSV_KERNELS where it is set. */
  readonly override?: string;
}

interface Chosen {
  readonly choice: KernelChoice;
  readonly report: KernelReport;
}

let chosen: Promise<Chosen> | undefined;

/** How operations are to be written on this processor: measured once and kept, checked for equality by every process. */
export const kernelChoice = async (): Promise<KernelChoice> => (await choose()).choice;

/** What was chosen on this machine, and why. @throws EngineError INPUT_INVALID for a wrong SPATIALSV_KERNELS. */
export const kernelReport = async (): Promise<KernelReport> => (await choose()).report;

function choose(): Promise<Chosen> {
  chosen ??= chooseKernels(userCacheFolder(), process.env[KERNELS_VARIABLE]);
  return chosen;
}

/** @param folder where measurements are kept. @param variable content of SPATIALSV_KERNELS. */
export async function chooseKernels(folder: string, variable?: string): Promise<Chosen> {
  const started = performance.now();
  const trials = kernelTrials();
  const known = new Map(trials.map(({ kind, candidates }) => [kind, candidates]));
  const override = parseOverride(variable, known);
  const decidesAll = override?.has(undefined) ?? false;
  const found = decidesAll ? await onlyBlock() : await measuredIn(folder);
  const choice = choiceOf(found.measured, override);
  const { block, tried, kernels } = found.measured;
  const ms = Math.round(performance.now() - started);
  const report = { source: found.source, file: found.file, ms, block, tried, kernels };
  return { choice, report: variable && override ? { ...report, override: variable } : report };
}

type Found = Pick<KernelReport, 'source' | 'file'> & { readonly measured: Measurement };

const onlyBlock = async (): Promise<Found> => ({
  source: 'override',
  file: null,
  measured: await blockOnly(),
});

async function blockOnly(): Promise<Measurement> {
  const { block = null, tried } = await findBlock();
  return { block, tried, kernels: [] };
}

async function measuredIn(folder: string): Promise<Found> {
  const trials = kernelTrials();
  const key = machineKey(JSON.stringify(trials));
  const file = cacheFile(folder, key);
  const kept = readMeasurement(file, key);
  const base = kept !== undefined && (await isStillRight(kept)) ? kept : await blockOnly();
  const kernels = await measureKernels(trials, base.block ?? undefined, base.kernels);
  if (base === kept && isDeepStrictEqual(kernels, kept.kernels)) {
    return { source: 'cache', file, measured: kept };
  }
  const measured = { ...base, kernels };
  const isKept = keepMeasurement(file, key, measured);
  return { source: 'measured', file: isKept ? file : null, measured };
}

/** A file may come from a machine that looks like this one: no result rests on it without a look at this processor. */
async function isStillRight({ block }: Measurement): Promise<boolean> {
  if (block === null) return true;
  return (await findBlock([block])).block === block;
}

function choiceOf({ block, kernels }: Measurement, override: Override | undefined): KernelChoice {
  const of = (kind: string, size: KernelSize) =>
    override?.get(kind) ?? override?.get(undefined) ?? nearest(kernels, kind, size)?.chosen;
  return { block: block ?? undefined, of };
}

/** What was measured of a kind at the size that differs by the smallest factor. */
function nearest(
  kernels: readonly MeasuredKernel[],
  kind: string,
  size: KernelSize,
): MeasuredKernel | undefined {
  const factor = (other: KernelSize) =>
    Math.abs(Math.log(other.rows / size.rows)) + Math.abs(Math.log(other.channels / size.channels));
  return kernels
    .filter((measured) => measured.kind === kind)
    .toSorted((a, b) => factor(a.size) - factor(b.size))[0];
}

export { defineKernelTrial, type KernelTrial } from './trials.js';
