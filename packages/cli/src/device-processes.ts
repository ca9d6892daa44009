import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Shard, SpatialError } from '@spatialsv/core';
import type { CommandContext } from './context.js';
import { EXIT } from './exit.js';

/** One process of a command that several devices share. */
export interface DevicePart {
  readonly device: string;
  /** The share of the work that it does. */
  readonly shard: Shard;
  readonly args: readonly string[];
}

export interface EndedPart {
  readonly part: DevicePart;
  readonly exitCode: number;
  /** What it printed as its result. */
  readonly out: string;
  /** What it said of its failure, where it failed. */
  readonly error: string;
  /** The signal that ended it, if one did. */
  readonly killedBy: NodeJS.Signals | null;
}

/** Options that a part has of its own, and whether a value follows. */
const REPLACED = { '--devices': true, '--device': true, '--shard': true, '--json': false } as const;

/**
 * The command lines of the parts: that of the whole with a device and a share for each. A share that was asked for is divided on.
 * @param args of the whole. @param more options of a part.
 */
export function partsOf(
  args: readonly string[],
  devices: readonly string[],
  whole: Shard = { index: 1, count: 1 },
  more: (shard: Shard) => readonly string[] = () => [],
): DevicePart[] {
  const kept = withoutOptions(args, REPLACED);
  return devices.map((device, i) => {
    // Of every n-th piece from the i-th on, every d-th again.
    const shard = { index: whole.index + whole.count * i, count: whole.count * devices.length };
    const own = ['--device', device, '--shard', `${shard.index}/${shard.count}`, '--json'];
    return { device, shard, args: [...kept, ...own, ...more(shard)] };
  });
}

/** @param options by name, and whether a value follows. */
export function withoutOptions(
  args: readonly string[],
  options: Readonly<Record<string, boolean>>,
): string[] {
  const kept: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const [name, value] = args[i]!.split('=', 2) as [string, string?];
    const takesValue = options[name];
    if (takesValue === undefined) kept.push(args[i]!);
    else if (takesValue && value === undefined) i += 1;
  }
  return kept;
}

const MAIN = fileURLToPath(new URL('./main.js', import.meta.url));

/**
 * Runs all parts at once, each in a process of its own, and waits for the last one. What they say goes on with the name of their
 * device before it. The first interruption is passed on: they finish the piece under way and save.
 * @throws the reason of the signal where they were stopped; SpatialError USAGE with what a part said that ended without a result.
 */
export async function runParts(
  parts: readonly DevicePart[],
  { err, signal }: CommandContext,
): Promise<readonly EndedPart[]> {
  const children = parts.map((part) => start(part, err));
  const stop = () => {
    for (const { child } of children) child.kill('SIGINT');
  };
  signal.addEventListener('abort', stop, { once: true });
  process.once('exit', stop);
  try {
    const ended = await Promise.all(children.map(({ ended }) => ended));
    signal.throwIfAborted();
    const failed = ended.find(({ exitCode, out }) => exitCode !== EXIT.done && out === '');
    if (failed !== undefined) throw partFailure(failed);
    return ended;
  } finally {
    signal.removeEventListener('abort', stop);
    process.off('exit', stop);
  }
}

function start(
  part: DevicePart,
  err: CommandContext['err'],
): { readonly child: ChildProcess; readonly ended: Promise<EndedPart> } {
  // A group of its own: Ctrl-C of the terminal would reach it besides what is passed on, and a second one ends at once.
  const child = spawn(process.execPath, [...process.execArgv, MAIN, ...part.args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString();
  });
  let error = '';
  const name = `[${part.device} ${part.shard.index}/${part.shard.count}]`;
  createInterface({ input: child.stderr }).on('line', (line) => {
    if (line.startsWith('error[')) error = line;
    err(`${name} ${line}\n`);
  });
  const ended = new Promise<EndedPart>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, killedBy) =>
      resolve({ part, exitCode: code ?? EXIT.failed, out, error, killedBy }),
    );
  });
  return { child, ended };
}

function partFailure({ part, exitCode, error, killedBy }: EndedPart): SpatialError {
  const { device, shard } = part;
  const which = `the process for ${device}, share ${shard.index}/${shard.count}`;
  if (killedBy !== null)
    return new SpatialError({
      code: 'USAGE',
      message: `${which}, was ended by ${killedBy}`,
      hint: 'Repeat the command: what was done is kept. A system that runs out of memory ends processes with SIGKILL.',
    });
  return new SpatialError({
    code: 'USAGE',
    message: `${which}, ended with exit code ${exitCode}: ${error || 'it said nothing'}`,
    hint: 'Correct what it names and repeat the command: what the others did is kept.',
  });
}
