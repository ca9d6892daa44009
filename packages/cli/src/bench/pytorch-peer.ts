import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { python } from './python.js';

/** `reference/bench_step.py` of the repository; absent in an installed package. */
const SCRIPT = fileURLToPath(new URL('../../../../reference/bench_step.py', import.meta.url));

/** The same training step in a PyTorch process, which works only while it is asked to. */
export interface PytorchStep {
  /** Speed of a bare 2048³ product there. */
  readonly matmulGflops: number;
  /** Runs one step. @returns its milliseconds. */
  run(): Promise<number>;
  close(): void;
}

/** A Python process that works only while it is asked to. */
export interface Peer {
  /** What it said when it was ready. */
  readonly ready: Readonly<Record<string, number>>;
  /** Has it work once. @returns what it measured. */
  run(): Promise<Readonly<Record<string, number>>>;
  close(): void;
}

/** @returns undefined when there is no Python, no script, or not what the script needs. */
export async function openPeer(script: string, settings: object): Promise<Peer | undefined> {
  if (!existsSync(script)) return undefined;
  const child = spawn(python(), [path.normalize(script), JSON.stringify(settings)], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const answers = answersOf(child);
  const ready = await answers.next();
  if (ready.done === true) return undefined;
  return {
    ready: ready.value,
    run: async () => {
      child.stdin.write('\n');
      return (await answers.next()).value;
    },
    close: () => child.stdin.end(),
  };
}

/** @returns undefined when there is no Python, no torch or no script. */
export async function openPytorchStep(size: object): Promise<PytorchStep | undefined> {
  const peer = await openPeer(SCRIPT, size);
  if (peer === undefined) return undefined;
  return {
    matmulGflops: peer.ready['matmul_gflops']!,
    run: async () => (await peer.run())['step_ms']!,
    close: peer.close,
  };
}

/** One JSON object a line; ends with the process, also where it cannot be started. */
async function* answersOf(child: ChildProcess): AsyncGenerator<Record<string, number>> {
  const started = new Promise<boolean>((resolve) => {
    child.once('spawn', () => resolve(true));
    child.once('error', () => resolve(false));
  });
  if (!(await started)) return;
  for await (const line of createInterface({ input: child.stdout! })) yield JSON.parse(line);
}
