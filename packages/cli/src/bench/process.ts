/** Measured work in processes of their own, each of which ends with this one. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import path from 'node:path';
import { startPython } from './python.js';

/** Brings the weights into the system's cache, as far as memory allows: disks differ, and are not what is measured. */
export function warm(folder: string): void {
  const piece = new Uint8Array(2 ** 24);
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.safetensors'))) {
    const descriptor = openSync(path.join(folder, name), 'r');
    while (readSync(descriptor, piece) > 0);
    closeSync(descriptor);
  }
}

/**
 * The last line that a script of this folder prints, as JSON; undefined where it fails.
 * @param settings its only argument, as JSON.
 */
export function runNode<Result>(script: string, settings: unknown): Promise<Result | undefined> {
  return lastLine(
    spawn(process.execPath, [...process.execArgv, script, JSON.stringify(settings)], {
      // The channel is what `endWithParent` follows.
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    }),
  );
}

/** The last line that a script of `reference/` prints, as JSON; undefined where it fails. */
export function runPython<Result>(script: string, settings: object): Promise<Result | undefined> {
  const child = startPython(script, settings);
  child.stderr.pipe(process.stderr);
  return lastLine(child);
}

async function lastLine<Result>(child: ChildProcess): Promise<Result | undefined> {
  let text = '';
  child.stdout!.setEncoding('utf8').on('data', (piece: string) => {
    text += piece;
  });
  const [code] = await once(child, 'close');
  return code === 0 ? (JSON.parse(text.trim().split('\n').at(-1)!) as Result) : undefined;
}
