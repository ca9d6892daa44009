/**
 * The checks of `scripts/emulated/` on processors that are not at hand: `node scripts/emulated.mjs`, after a build. Debian's
 * qemu-user runs Node as on a Haswell (AVX2, no AVX-512) and a Nehalem (no AVX), beside this processor itself, each with
 * programs written plainly and in the blocked layout. Where qemu is missing only this processor is checked, which is said.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import { readArguments } from './arguments.mjs';

readArguments(import.meta.url);

const EMULATOR = 'qemu-x86_64';
const PROCESSORS = ['Haswell', 'Nehalem'];
const WAYS = ['blocked', 'plain'];
const CHECK = fileURLToPath(new URL('emulated/check.mjs', import.meta.url));
const BUILT = fileURLToPath(new URL('../packages/cli/dist/main.js', import.meta.url));
/** All of it takes a few minutes on two cores; whoever takes so long is stuck. */
const LIMIT_MS = 20 * 60_000;

const isThere = (command) => spawnSync(command, ['--version']).status === 0;

/** Processes that only name the processor they emulate, and say nothing about features that qemu lacks. */
function command(processor, way) {
  const env = { ...process.env, SPATIALSV_KERNELS: way };
  const [name, ...args] =
    processor === undefined
      ? [process.execPath, CHECK]
      : [EMULATOR, '-cpu', processor, process.execPath, CHECK];
  return { name, args, env };
}

/** @returns the report of one processor and way, with its time. */
function run(processor, way) {
  const { name, args, env } = command(processor, way);
  const started = performance.now();
  return new Promise((resolve) => {
    const child = spawn(name, args, { env, stdio: ['ignore', 'pipe', 'pipe'], timeout: LIMIT_MS });
    let out = '';
    let messages = '';
    child.stdout.on('data', (data) => {
      out += data;
    });
    child.stderr.on('data', (data) => {
      messages += data;
    });
    child.on('error', (error) => {
      messages += error.message;
    });
    child.on('close', (code, signal) => {
      const seconds = (performance.now() - started) / 1000;
      resolve({ processor, way, seconds, ...reportOf(out, messages, code ?? signal) });
    });
  });
}

function reportOf(out, messages, ended) {
  try {
    return JSON.parse(out.trim().split('\n').at(-1));
  } catch {
    return { passed: 0, failures: [`ended with ${ended}\n${messages.slice(-2000)}`] };
  }
}

function print({ processor, way, seconds, passed, failures, blocks, sources }) {
  const name = processor === undefined ? `${os.cpus()[0]?.model.trim()} (not emulated)` : processor;
  const tried = blocks?.map(({ block, equal }) => `${block} ${equal ? 'equal' : 'not equal'}`);
  const note = tried === undefined ? '' : `; blocks tried: ${tried.join(', ')}; choice ${sources}`;
  console.log(
    `${name}, ${way}: ${passed} passed, ${failures.length} failed in ${seconds.toFixed(0)} s${note}`,
  );
  for (const failure of failures) console.log(`  FAILED  ${failure}`);
}

async function main() {
  if (!existsSync(BUILT)) {
    console.log('Nothing is built: run `npm run build` first.');
    return 1;
  }
  const emulates = process.platform === 'linux' && process.arch === 'x64' && isThere(EMULATOR);
  if (!emulates) {
    console.log(
      `${EMULATOR} is not here (Debian: apt-get install qemu-user): other processors are not checked.`,
    );
  }
  const processors = [undefined, ...(emulates ? PROCESSORS : [])];
  const waiting = processors.flatMap((processor) => WAYS.map((way) => [processor, way]));
  const reports = [];
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const report = await run(...next);
      print(report);
      reports.push(report);
    }
  };
  await Promise.all(Array.from({ length: os.availableParallelism() }, work));
  const passed = reports.reduce((sum, report) => sum + report.passed, 0);
  const failed = reports.reduce((sum, report) => sum + report.failures.length, 0);
  const names = processors.map((name) => name ?? 'this processor').join(', ');
  console.log(`${passed} passed, ${failed} failed on ${names}`);
  return failed === 0 ? 0 : 1;
}

process.exitCode = await main();
