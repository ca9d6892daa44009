/**
 * `node --import count-cuda.mjs main.js …` with pretend libraries of CUDA: forbids operations on the CPU, and prints what was
 * counted as the last line on stderr.
 */
import { configureEnvironment, cudaReport } from '@spatialsv/engine';
import counters from '../../../engine/src/testing/pretend-cuda/counters.cjs';

const { openCounters } = counters;

configureEnvironment({ cpuFallback: false });
const { counts, threads } = openCounters(cudaReport());
const NAMES = [
  ...['launch', 'product', 'product bfloat16', 'product float16', 'convolution'],
  ...['HostToDevice', 'DeviceToHost'],
];

process.on('exit', () => {
  process.stderr.write(`\n${JSON.stringify({ ...counts(NAMES), threads: threads() })}\n`);
});
