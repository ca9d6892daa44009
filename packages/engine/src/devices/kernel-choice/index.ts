import { isDeepStrictEqual } from 'node:util';
import { userCacheFolder } from '../../cache-folder.js';
import { environment } from '../../executor/environment.js';
import type { KernelChoice, KernelSize } from '../../graph/choice.js';
import {
  cacheFile,
  keepMeasurement,
  type Measurement,
  machineKey,
  readMeasurement,
} from './cache.js';
import { type Clocks, processClocks } from './clocks.js';
import { findBlock, type Measuring, measureKernels, type TriedBlock } from './measure.js';
import { KERNELS_VARIABLE, type Override, parseOverride } from './override.js';
import type { MeasuredKernel } from './rounds.js';
import { type KernelTrial, kernelTrials } from './trials.js';

/** How operations are written on this machine, and why. */
export interface KernelReport {
  /**
   * `cache`: measured by earlier processes alone; `override`: the environment variable chooses every kind; `pinned`: as
   * another process wrote its programs.
   */
  readonly source: 'measured' | 'cache' | 'override' | 'pinned';
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

/** How graphs are written, without the times that led to it: what makes another process write them alike. */
export interface KernelRecord {
  readonly block: number | null;
  readonly kernels: readonly Pick<MeasuredKernel, 'kind' | 'size' | 'chosen'>[];
  /** Content of SPATIALSV_KERNELS, empty where it was not set. */
  readonly override: string;
}

let chosen: Promise<Chosen> | undefined;
let settled: KernelChoice | undefined;

function settleOn(next: Promise<Chosen>): Promise<Chosen> {
  chosen = next;
  const keep = ({ choice }: Chosen) => {
    settled = choice;
  };
  // Whoever waits for the choice is told of a failure.
  next.then(keep, () => undefined);
  return next;
}

/** How operations are to be written on this processor: measured once and kept, checked for equality by every process. */
export const kernelChoice = async (): Promise<KernelChoice> => (await choose()).choice;

/** The same where this process has made its choice already. */
export const settledKernelChoice = (): KernelChoice | undefined => settled;

/** What was chosen on this machine, and why. @throws EngineError INPUT_INVALID for a wrong SPATIALSV_KERNELS. */
export const kernelReport = async (): Promise<KernelReport> => (await choose()).report;

/** What was chosen on this machine, to be kept with results that have to be repeated to the last bit. */
export async function kernelRecord(): Promise<KernelRecord> {
  return recordOf((await choose()).report);
}

function recordOf({ block, kernels, override }: KernelReport): KernelRecord {
  return {
    block,
    kernels: kernels.map(({ kind, size, chosen: way }) => ({ kind, size, chosen: way })),
    override: override ?? '',
  };
}

/**
 * Has programs that are compiled from now on written as another process wrote them, whatever is fastest here.
 * @returns false, with everything left as it is, where that is impossible: a block size that is not right on this processor,
 *   a kind that this version does not know, or another SPATIALSV_KERNELS.
 */
export async function pinKernels(record: KernelRecord): Promise<boolean> {
  if ((process.env[KERNELS_VARIABLE] ?? '').trim() !== record.override) return false;
  const candidates = new Map(kernelTrials().map((trial) => [trial.kind, trial.candidates]));
  if (!record.kernels.every(({ kind, chosen: way }) => candidates.get(kind)?.includes(way)))
    return false;
  if (!(await isStillRight(record))) return false;
  const pinned = pinnedChoice(record, parseOverride(record.override, candidates));
  await settleOn(Promise.resolve(pinned));
  return true;
}

function pinnedChoice(record: KernelRecord, override: Override | undefined): Chosen {
  const { block } = record;
  const unmeasured = { ms: {}, turns: 0, rounds: 0, since: 0, tookMs: 0 };
  const kernels = record.kernels.map((kernel) => ({
    ...kernel,
    ...unmeasured,
    equal: [kernel.chosen],
  }));
  const choice = choiceOf({ block, tried: [], kernels }, override);
  const report = { source: 'pinned' as const, file: null, ms: 0, block, tried: [], kernels };
  return { choice, report: override ? { ...report, override: record.override } : report };
}

function choose(): Promise<Chosen> {
  return chosen ?? settleOn(chooseKernels(userCacheFolder(), process.env[KERNELS_VARIABLE]));
}

/** A process spends so long on the check of equality and on measuring, ms; what is begun ends a little before. */
const BUDGET_MS = 300;
const RESERVE_MS = 30;

/** @param folder where measurements are kept. @param variable content of SPATIALSV_KERNELS. @param trials what is measured. */
export async function chooseKernels(
  folder: string,
  variable?: string,
  clocks: Clocks = processClocks(environment().threads),
  trials: readonly KernelTrial[] = kernelTrials(),
): Promise<Chosen> {
  const started = clocks.now();
  const known = new Map(trials.map(({ kind, candidates }) => [kind, candidates]));
  const override = parseOverride(variable, known);
  const decidesAll = override?.has(undefined) ?? false;
  const found = decidesAll
    ? await onlyBlock()
    : await measuredIn(folder, trials, { clocks, end: started + BUDGET_MS - RESERVE_MS });
  const choice = choiceOf(found.measured, override);
  const { block, tried, kernels } = found.measured;
  const ms = Math.round(clocks.now() - started);
  const report = { source: found.source, file: found.file, ms, block, tried, kernels };
  return {
    choice,
    report: variable && override ? { ...report, override: variable.trim() } : report,
  };
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

async function measuredIn(
  folder: string,
  trials: readonly KernelTrial[],
  measuring: Measuring,
): Promise<Found> {
  const key = machineKey(JSON.stringify(trials));
  const file = cacheFile(folder, key);
  const kept = readMeasurement(file, key);
  const base = kept !== undefined && (await isStillRight(kept)) ? kept : await blockOnly();
  const kernels = await measureKernels(trials, base.block ?? undefined, base.kernels, measuring);
  if (base === kept && isDeepStrictEqual(kernels, kept.kernels)) {
    return { source: 'cache', file, measured: kept };
  }
  const measured = { ...base, kernels };
  const isKept = keepMeasurement(file, key, measured);
  return { source: 'measured', file: isKept ? file : null, measured };
}

/** A file may come from a machine that looks like this one: no result rests on it without a look at this processor. */
async function isStillRight({ block }: Pick<Measurement, 'block'>): Promise<boolean> {
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
