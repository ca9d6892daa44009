import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';

const REGISTER = path.join(
  __dirname,
  '../../../../engine/src/executor/__fixtures__/register.cjs',
);

/** A script of this folder in a process of its own, with the lines that it has printed so far. */
export interface Script {
  readonly process: ChildProcess;
  readonly lines: readonly string[];
  /** When it has printed `count` lines or ended. */
  printed(count: number): Promise<void>;
  /** When it has ended and every line has arrived. */
  readonly ended: Promise<void>;
}

/** @param shell limits of the process, for example `ulimit -f 100`; what LMDB then writes to stderr is left out. */
export const startScript = (name: string, args: readonly unknown[], shell?: string): Script => {
  const node = [process.execPath, ...process.execArgv, '-C', '@spatialsv/source', '-r', REGISTER];
  const command = [...node, path.join(__dirname, name), ...args.map(String)];
  const [program, ...rest] =
    shell === undefined ? command : ['bash', '-c', `${shell}; exec "$@"`, 'bash', ...command];
  const child = spawn(program!, rest, { stdio: ['ignore', 'pipe', shell === undefined ? 'inherit' : 'ignore'] });
  const lines: string[] = [];
  const reader = createInterface({ input: child.stdout! }).on('line', (line) => lines.push(line));
  const ended = Promise.all([once(reader, 'close'), once(child, 'close')]).then(() => undefined);
  const printed = async (count: number): Promise<void> => {
    while (lines.length < count)
      if ((await Promise.race([once(reader, 'line'), ended])) === undefined) return;
  };
  return { process: child, lines, printed, ended };
};

export const sleep = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms));
