import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { environment, executorInfo } from '../../executor/environment.js';
import type { TriedBlock } from './measure.js';
import type { MeasuredKernel } from './rounds.js';

/** Counts up when what is measured, or how it is kept, changes its meaning. */
const FORMAT = 3;

/** What the last digits of a result depend on, beside how its program is written. */
export interface MachineInfo {
  readonly platform: string;
  /** Model and instruction sets of the processor. */
  readonly processor: string;
  readonly threads: number;
  readonly onnxRuntime: string;
}

/** What a measurement is valid for. */
export interface MachineKey extends MachineInfo {
  readonly format: number;
  /** Kinds and sizes that are measured. */
  readonly trials: string;
}

/** What was measured on a machine. */
export interface Measurement {
  readonly block: number | null;
  readonly tried: readonly TriedBlock[];
  readonly kernels: readonly MeasuredKernel[];
}

/** @param trials a description of the kinds and sizes that are measured. */
export function machineKey(trials: string): MachineKey {
  return { format: FORMAT, ...machineInfo(), trials: digest(trials) };
}

export const machineInfo = (): MachineInfo => ({
  platform: `${process.platform} ${process.arch}`,
  processor: processor(),
  threads: environment().threads,
  onnxRuntime: executorInfo().version,
});

const digest = (text: string): string =>
  createHash('sha256').update(text).digest('hex').slice(0, 16);

/** The model alone does not tell what a virtual machine hides; only Linux lists the instruction sets. */
function processor(): string {
  const model = os.cpus()[0]?.model.trim() ?? 'unknown';
  const features = featuresOfLinux();
  return features === undefined ? model : `${model}, features ${digest(features)}`;
}

function featuresOfLinux(): string | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    return /^(?:flags|Features)\s*:.*$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[0];
  } catch {
    return undefined;
  }
}

/** One file per machine, so that nothing of another one is overwritten. */
export const cacheFile = (folder: string, key: MachineKey): string =>
  path.join(folder, `kernels-${digest(JSON.stringify(key))}.json`);

/** @returns undefined where there is no file, or one that is broken or of another machine. */
export function readMeasurement(file: string, key: MachineKey): Measurement | undefined {
  try {
    const content = JSON.parse(readFileSync(file, 'utf8')) as { key: unknown; measured: unknown };
    const fits = JSON.stringify(content.key) === JSON.stringify(key);
    return fits && isMeasurement(content.measured) ? content.measured : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Written beside its place and moved there, so that nobody reads half of it.
 * @returns whether it could be kept: a home that cannot be written is no failure.
 */
export function keepMeasurement(file: string, key: MachineKey, measured: Measurement): boolean {
  const beside = `${file}.${process.pid}-${randomUUID()}`;
  try {
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(beside, `${JSON.stringify({ key, measured }, null, 1)}\n`);
    renameSync(beside, file);
    return true;
  } catch {
    if (existsSync(beside)) rmSync(beside, { force: true });
    return false;
  }
}

function isMeasurement(value: unknown): value is Measurement {
  if (!isRecord(value) || !Array.isArray(value['kernels'])) return false;
  const { block, tried, kernels } = value;
  const hasBlock = block === null || (Number.isInteger(block) && (block as number) > 0);
  return hasBlock && Array.isArray(tried) && kernels.every(isMeasuredKernel);
}

const isMeasuredKernel = (value: unknown): boolean =>
  isRecord(value) &&
  typeof value['kind'] === 'string' &&
  typeof value['chosen'] === 'string' &&
  isRecord(value['ms']) &&
  ['turns', 'rounds', 'since', 'tookMs'].every((name) => Number(value[name]) >= 0) &&
  Array.isArray(value['equal']) &&
  value['equal'].includes(value['chosen']) &&
  isRecord(value['size']) &&
  ['rows', 'channels'].every((name) => Number(value['size']![name as never]) > 0);

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
