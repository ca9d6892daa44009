import { createRequire } from 'node:module';
import os from 'node:os';
import {
  availableMemory,
  deviceNames,
  executorInfo,
  type KernelReport,
  kernelReport,
  largestWeightCopy,
} from '@spatialsv/engine';
import { ffmpegVersion } from '@spatialsv/eval';
import { satisfies } from 'semver';
import sharp from 'sharp';
import { composePlugins } from '../composition.js';
import { type CommandContext, formatTable } from '../context.js';
import { counted } from '../counted.js';
import { type DeviceReport, probeDevice } from '../device-probe.js';
import { processorModel } from '../machine.js';
import { packageVersion } from '../version.js';
import { formatCuda } from './format-cuda.js';
import { formatPlugins, type PluginReport, pluginReport } from './plugins.js';

export interface DoctorReport {
  readonly spatialsv: string;
  readonly node: { readonly version: string; readonly supported: boolean; readonly needs: string };
  readonly machine: {
    readonly platform: string;
    readonly cpu: string;
    readonly threads: number;
    readonly memoryGib: number;
    /** What a process can still take, limits of containers included. */
    readonly freeMemoryGib: number;
  };
  /** Weights in 16 bits whose float32 copy is not larger than this are copied, unless a policy is asked for. */
  readonly weights: { readonly policy: 'auto'; readonly largestCopyGib: number };
  readonly onnxRuntime:
    | { readonly version: string; readonly providers: readonly string[]; readonly library: string }
    | { readonly error: string; readonly hint: string };
  /** How operations are written on this processor, and why. */
  readonly kernels: KernelReport | { readonly error: string; readonly hint: string };
  readonly sharp: string;
  /** Version; null where there is none: benchmarks with videos need it. */
  readonly ffmpeg: string | null;
  /** By name. */
  readonly devices: Readonly<Record<string, DeviceReport>>;
  readonly plugins: PluginReport;
}

export async function doctor({ json }: { json: boolean }, context: CommandContext): Promise<void> {
  const report = await examine(context);
  context.out(json ? `${JSON.stringify(report, null, 2)}\n` : formatDoctor(report));
}

/** Devices that are only useful to tests. */
const HIDDEN_DEVICES = new Set(['tfjs-cpu']);

async function examine(context: CommandContext): Promise<DoctorReport> {
  const names = deviceNames().filter((name) => !HIDDEN_DEVICES.has(name));
  const [devices, plugins] = await Promise.all([
    Promise.all(names.map(probeDevice)),
    composePlugins(context.folder),
  ]);
  return {
    spatialsv: packageVersion(),
    node: nodeReport(),
    machine: machineReport(),
    weights: { policy: 'auto', largestCopyGib: gib(largestWeightCopy(availableMemory())) },
    onnxRuntime: runtimeReport(),
    kernels: await kernelsReport(),
    sharp: `${sharp.versions.sharp} (libvips ${sharp.versions.vips})`,
    ffmpeg: (await ffmpegVersion()) ?? null,
    devices: Object.fromEntries(devices.map((report) => [report.device, report])),
    plugins: pluginReport(plugins),
  };
}

function nodeReport(): DoctorReport['node'] {
  const { engines } = createRequire(import.meta.url)('../../package.json') as {
    engines: { node: string };
  };
  const supported = satisfies(process.versions.node, engines.node);
  return { version: process.version, supported, needs: engines.node };
}

const gib = (bytes: number): number => Math.round((bytes / 2 ** 30) * 10) / 10;

function machineReport(): DoctorReport['machine'] {
  return {
    platform: `${process.platform} ${process.arch}`,
    cpu: processorModel(),
    threads: os.availableParallelism(),
    memoryGib: gib(os.totalmem()),
    freeMemoryGib: gib(availableMemory()),
  };
}

function runtimeReport(): DoctorReport['onnxRuntime'] {
  try {
    return executorInfo();
  } catch (error) {
    return failureOf(error);
  }
}

const kernelsReport = (): Promise<DoctorReport['kernels']> => kernelReport().catch(failureOf);

function failureOf(error: unknown): { error: string; hint: string } {
  const { message, hint = '' } = error as { message: string; hint?: string };
  return { error: message, hint };
}

const KERNEL_SOURCES: Readonly<Record<KernelReport['source'], string>> = {
  measured: 'measured now',
  cache: 'measured earlier',
  override: 'not measured',
  pinned: 'as another process chose',
};

/** How operations are written here, one line per kind and size. */
function formatKernels(kernels: DoctorReport['kernels']): string {
  if ('error' in kernels) return `  unknown: ${kernels.error}\n`;
  const { source, file, block, override } = kernels;
  const layout = block === null ? 'no blocked layout' : `blocks of ${block} channels, checked`;
  const kept = file === null ? '' : `, kept in ${file}`;
  const forced = override === undefined ? '' : `, SPATIALSV_KERNELS=${override}`;
  const rows = kernels.kernels.map(({ kind, size, chosen, ms, turns }) => [
    kind,
    `${size.rows} × ${size.channels}`,
    chosen,
    Object.entries(ms)
      .map(([way, time]) => `${way} ${time.toFixed(2)} ms`)
      .join(', '),
    turns > 0 ? counted(turns, 'undisturbed turn') : '',
  ]);
  return `${indent(`${layout}; ${KERNEL_SOURCES[source]}${kept}${forced}\n`)}${indent(formatTable(rows))}`;
}

/** ONNX Runtime quotes its source before it says what is wrong. */
const ASSERTION = /\/onnxruntime_src\/.* was false\. /;

/** The report as text for people. */
function formatDoctor(report: DoctorReport): string {
  const { node, machine, onnxRuntime: runtime } = report;
  const nodeNote = node.supported ? '' : `, not supported: needs ${node.needs}`;
  const engine =
    'error' in runtime
      ? `missing: ${runtime.error} (${runtime.hint})`
      : `${runtime.version}, ${runtime.providers.join(', ')}`;
  const facts = [
    ['spatialsv', report.spatialsv],
    ['Node.js', `${node.version}${nodeNote}`],
    ['machine', `${machine.platform}, ${machine.threads} threads, ${machine.cpu}`],
    ['memory', `${machine.memoryGib} GiB, ${machine.freeMemoryGib} GiB free`],
    [
      'weights',
      `mapped from their file where a float32 copy takes over ${report.weights.largestCopyGib} GiB`,
    ],
    ['ONNX Runtime', engine],
    ['sharp', report.sharp],
    [
      'ffmpeg',
      report.ffmpeg ??
        'none: benchmarks with videos need it (apt install ffmpeg, brew install ffmpeg)',
    ],
  ];
  const reports = Object.values(report.devices);
  const devices = reports.map((each) => [each.device, stateOf(each)]);
  const hints = reports
    .filter(({ hint }) => hint !== undefined)
    .map(({ device, hint }) => `  ${device}: ${hint}\n`);
  const advice = hints.length === 0 ? '' : `\nTo get a device:\n${hints.join('')}`;
  return `${formatTable(facts)}\nDevices\n${indent(formatTable(devices))}${formatCuda(report.devices['cuda']?.cuda)}${advice}\nKernels (rows or pixels × channels)\n${formatKernels(report.kernels)}\nPlugins\n${indent(formatPlugins(report.plugins))}`;
}

function stateOf({ works, float16, reason = '' }: DeviceReport): string {
  if (!works) return `not here: ${reason.replace(ASSERTION, '')}`;
  if (float16 === undefined) return 'works';
  return float16
    ? 'works, in float16 too'
    : 'works, in float32 alone: its adapter has no shader-f16';
}

const indent = (text: string): string => text.replace(/^(?=.)/gm, '  ');
