import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { nearestName } from '@spatialsv/core';
import { PRECISIONS, type Precision } from '@spatialsv/engine';
import { BACKBONE_CASES } from './backbones-bench.js';
import { DATA_CASES } from './data-bench.js';
import { endWithParent } from './end-with-parent.js';
import { ENGINE_CASES } from './engine-bench.js';
import { EVAL_CASES } from './eval-bench.js';
import { GPU_CASES } from './gpu-bench.js';
import { INSPECT_CASES } from './inspect-bench.js';
import { LABEL_CASES } from './labels-bench.js';
import { LARGE_CASES } from './large-bench.js';
import type { BenchOptions } from './measure.js';
import { SIZE_CASES } from './sizes-bench.js';
import { STORE_CASES } from './store-bench.js';
import { TRAIN_CASES } from './train-bench.js';

type Case = (options: BenchOptions) => Promise<void>;

/** `npm run bench -- BENCH [CASE …]`: measures and prints one JSON object a line. */
const BENCHES: Readonly<Record<string, Readonly<Record<string, Case>>>> = {
  backbones: BACKBONE_CASES,
  data: DATA_CASES,
  engine: ENGINE_CASES,
  inspect: INSPECT_CASES,
  eval: EVAL_CASES,
  gpu: GPU_CASES,
  labels: LABEL_CASES,
  large: LARGE_CASES,
  sizes: SIZE_CASES,
  store: STORE_CASES,
  train: TRAIN_CASES,
};

const USAGE = `usage: npm run bench -- BENCH [CASE …]   [--device NAME] [--precision NAME] [--views N] [--small]\n${Object.entries(
  BENCHES,
)
  .map(([name, cases]) => `  ${name}: ${Object.keys(cases).join(', ')}`)
  .join('\n')}\n`;

const OPTIONS = {
  device: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
  precision: { type: 'string' },
  small: { type: 'boolean' },
  views: { type: 'string' },
} as const;

/** @throws Error for options that no bench takes, or that have another value. */
function readArguments(args: string[]) {
  const { values, positionals } = parseArgs({ args, options: OPTIONS, allowPositionals: true });
  return { help: values.help === true, positionals, options: optionsOf(values) };
}

function refuse(message: string): number {
  process.stderr.write(`${message}\n${USAGE}`);
  return 2;
}

async function main(args: string[]): Promise<number> {
  let read: ReturnType<typeof readArguments>;
  try {
    read = readArguments(args);
  } catch (error) {
    return refuse((error as Error).message);
  }
  const { positionals, options } = read;
  if (read.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const [bench, ...wanted] = positionals;
  const cases = bench === undefined ? undefined : BENCHES[bench];
  const unknown = cases === undefined ? bench : wanted.find((name) => !(name in cases));
  if (cases === undefined || unknown !== undefined) {
    const known = cases === undefined ? Object.keys(BENCHES) : Object.keys(cases);
    if (unknown === undefined) return refuse('expected the name of a bench');
    const near = nearestName(known, unknown);
    return refuse(`unknown: ${unknown}${near === undefined ? '' : `; did you mean ${near}?`}`);
  }
  const names = wanted.length > 0 ? wanted : Object.keys(cases);
  const flags = args.filter((arg) => !positionals.includes(arg));
  if (names.length > 1) return runEach(names.map((name) => [bench!, name, ...flags]));
  await cases[names[0]!]!(options);
  return 0;
}

interface Flags {
  readonly device?: string | undefined;
  readonly precision?: string | undefined;
  readonly small?: boolean | undefined;
  readonly views?: string | undefined;
}

function optionsOf({ device = 'cpu', small = false, ...flags }: Flags): BenchOptions {
  const precision = precisionNamed(flags.precision);
  const views = Number(flags.views ?? 1);
  if (!Number.isInteger(views) || views < 1)
    throw new Error(`--views: expected a positive integer, found ${flags.views}`);
  return { device, small, ...(precision && { precision }), ...(flags.views && { views }) };
}

function precisionNamed(name: string | undefined): Precision | undefined {
  const found = PRECISIONS.find((precision) => precision === name);
  if (name !== undefined && found === undefined)
    throw new Error(`--precision: expected one of ${PRECISIONS.join(', ')}, found ${name}`);
  return found;
}

/** A process of its own for every case: peak memory is a figure of the process. The first one that fails is the last. */
async function runEach(cases: readonly (readonly string[])[]): Promise<number> {
  for (const own of cases) {
    const args = [...process.execArgv, process.argv[1]!, ...own];
    const child = spawn(process.execPath, args, {
      stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    });
    const [code] = await once(child, 'exit');
    if (code !== 0) return code ?? 1;
  }
  return 0;
}

endWithParent();
process.exitCode = await main(process.argv.slice(2));
