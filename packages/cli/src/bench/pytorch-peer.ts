import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { python, pythonHas, startPython, torchHasGpu } from './python.js';

/** `reference/bench_step.py` of the repository; absent in an installed package. */
const SCRIPT = fileURLToPath(new URL('../../../../reference/bench_step.py', import.meta.url));

/** The same training step in a PyTorch process, which works only while it is asked to. */
export interface PytorchStep {
  /** Speed of a bare 2048³ product there. */
  readonly matmulGflops: number;
  /** Runs one step. @returns its milliseconds. */
  run(): Promise<number>;
  close(): Promise<void>;
}

export type PeerFigures = Readonly<Record<string, number>>;

/** A Python process that works only while it is asked to. */
export interface Peer<Figures = PeerFigures> {
  /** What it said when it was ready. */
  readonly ready: PeerFigures;
  /** Has it work once. @returns what it measured. @throws Error with what it said where it ended instead. */
  run(): Promise<Figures>;
  /** Ends it, and waits until it has ended. */
  close(): Promise<void>;
}

/**
 * Starts a peer and waits until it is ready.
 * @param settings its only argument, as JSON; `device` in it is where PyTorch runs, the CPU where it is not named.
 * @returns undefined, with a line on stderr, where there is no script, no Python with torch, or no GPU that torch finds.
 * @throws Error with the last lines of what the peer said where it ended before it was ready.
 */
export async function openPeer<Figures = PeerFigures>(
  script: string,
  settings: object,
): Promise<Peer<Figures> | undefined> {
  const missing = whatIsMissing(script, settings);
  if (missing !== undefined) return noPeer(missing);
  const child = startPython(script, settings);
  const ended = once(child, 'close');
  const said = lastWords(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async <Said>() => {
    const { value, done } = await lines.next();
    if (done !== true) return JSON.parse(value) as Said;
    const [code, signal] = await ended;
    throw new Error(`the PyTorch peer ended (${signal ?? `exit code ${code}`}): ${said()}`);
  };
  // Where it has ended, its output says so.
  child.stdin.on('error', () => undefined);
  return {
    ready: await answer<PeerFigures>(),
    run: () => {
      child.stdin.write('\n');
      return answer<Figures>();
    },
    close: async () => {
      child.stdin.end();
      await ended;
    },
  };
}

function whatIsMissing(script: string, settings: object): string | undefined {
  if (!existsSync(script)) return `${script} is not there`;
  if (!pythonHas(['torch']))
    return `${python()} has no torch; SPATIALSV_PYTHON names another Python`;
  const isOnGpu = 'device' in settings && String(settings.device).startsWith('cuda');
  return isOnGpu && !torchHasGpu() ? `torch of ${python()} finds no GPU` : undefined;
}

/** Where PyTorch runs beside one of our devices. */
export const torchDevice = (device: string): string => (device.startsWith('cuda') ? device : 'cpu');

/** Says why nothing is measured beside PyTorch. */
export function noPeer(reason: string): undefined {
  process.stderr.write(`no peer: ${reason}\n`);
  return undefined;
}

const KEPT = 2000;

/** The end of what a process says on stderr, where official code also logs. */
function lastWords(child: ChildProcess): () => string {
  let words = '';
  child.stderr!.setEncoding('utf8').on('data', (piece: string) => {
    words = (words + piece).slice(-KEPT);
  });
  return () => {
    const lines = words.trimEnd().split('\n');
    const error = lines.findLastIndex((line) => /^[\w.]*Error\b/.test(line));
    return lines.slice(error === -1 ? -3 : error).join('\n');
  };
}

/** @returns undefined when there is no Python, no torch or no script. @throws as {@link openPeer}. */
export async function openPytorchStep(size: object): Promise<PytorchStep | undefined> {
  const peer = await openPeer(SCRIPT, size);
  if (peer === undefined) return undefined;
  return {
    matmulGflops: peer.ready['matmul_gflops']!,
    run: async () => (await peer.run())['step_ms']!,
    close: peer.close,
  };
}
