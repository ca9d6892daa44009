/** One process of `npm run bench -- eval`: runs a command line of `spatialsv eval` and prints its figures as JSON. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { runCommand } from '../run.js';
import { endWithParent } from './end-with-parent.js';
import { peakRssMb } from './measure.js';

/** Figures of a process; the peer prints those without `?`. */
export interface EvalRun {
  /** Until the first question is asked. */
  readonly load_s: number;
  /** From there to the last answer. */
  readonly answering_s: number;
  readonly peak_mb: number;
  /** How late the event loop was while it answered, 99 of 100 times at most. */
  readonly loop_p99_ms?: number;
}

const RESOLUTION_MS = 1;

async function run(args: readonly string[]): Promise<EvalRun> {
  const started = performance.now();
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  let [asked, answered] = [started, started];
  const exitCode = await runCommand(args, {
    out: () => {},
    err: (text) => process.stderr.write(text),
    progress: {
      start: (label) => {
        if (label !== 'Answering') return;
        asked = performance.now();
        delay.enable();
      },
      update: () => {
        answered = performance.now();
      },
      done: () => {},
    },
    signal: new AbortController().signal,
    folder: process.cwd(),
  });
  delay.disable();
  if (exitCode !== 0) throw new Error(`spatialsv ${args.join(' ')} ended with ${exitCode}`);
  return {
    load_s: (asked - started) / 1000,
    answering_s: (answered - asked) / 1000,
    peak_mb: peakRssMb(),
    loop_p99_ms: delay.percentile(99) / 1e6 - RESOLUTION_MS,
  };
}

endWithParent();
const figures = await run(JSON.parse(process.argv[2]!) as readonly string[]);
process.stdout.write(`${JSON.stringify(figures)}\n`);
