#!/usr/bin/env node
import { watchInterrupts } from './interrupt.js';
import { createProgress } from './progress.js';
import { runCommand } from './run.js';

const err = (text: string): void => {
  process.stderr.write(text);
};
// A reader that closes its end (`spatialsv … | head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});
const progress = createProgress(process.stderr);
const interrupts = watchInterrupts(process, err);
const exitCode = await runCommand(process.argv.slice(2), {
  out: (text) => {
    process.stdout.write(text);
  },
  err,
  progress,
  signal: interrupts.signal,
  folder: process.cwd(),
});
progress.stop();
interrupts.dispose();
process.exitCode = exitCode;
