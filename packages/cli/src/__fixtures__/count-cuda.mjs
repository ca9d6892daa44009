/**
 * `node --import count-cuda.mjs main.js …` with pretend libraries of CUDA: forbids operations on the CPU, and prints what was
 * counted as the last line on stderr.
 */
import { createRequire } from 'node:module';
import { configureEnvironment, cudaReport } from '@spatialsv/engine';

// A dependency of the engine.
const koffi = createRequire(import.meta.resolve('@spatialsv/engine'))('koffi');

configureEnvironment({ cpuFallback: false });
const { libraries } = cudaReport();
const runtime = koffi.load(libraries.find(({ name }) => name.startsWith('libcudart')).file);
const calls = runtime.func('long pretend_calls(const char *name)');
const threads = runtime.func('int pretend_launching_threads()');
const NAMES = ['launch', 'product', 'convolution', 'HostToDevice', 'DeviceToHost'];

process.on('exit', () => {
  const counts = Object.fromEntries(NAMES.map((name) => [name, calls(name)]));
  process.stderr.write(`\n${JSON.stringify({ ...counts, threads: threads() })}\n`);
});
