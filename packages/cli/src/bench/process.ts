/** Measured work in processes of their own. */
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import path from 'node:path';

/** Brings the weights into the system's cache, as far as memory allows: disks differ, and are not what is measured. */
export function warm(folder: string): void {
  const piece = new Uint8Array(2 ** 24);
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.safetensors'))) {
    const descriptor = openSync(path.join(folder, name), 'r');
    while (readSync(descriptor, piece) > 0);
    closeSync(descriptor);
  }
}

/** The last line that a process prints, as JSON; undefined where it fails. */
export function runProcess<Result>(
  command: string,
  parameters: readonly string[],
): Result | undefined {
  const { status, stdout } = spawnSync(command, parameters, {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  });
  if (status !== 0) return undefined;
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as Result;
}
