import type { SpawnSyncReturns } from 'node:child_process';

/** Whether the dry run of the device `cuda` was prepared here; says what to do where it was not. */
export function hasPretendCuda(): boolean;

/** Node with these arguments, which takes the pretend GPUs for real ones. */
export function spawnOnPretendCuda(
  args: readonly string[],
  environment?: NodeJS.ProcessEnv,
): SpawnSyncReturns<string>;

/**
 * The JSON that a script prints on pretend GPUs. It may require TypeScript.
 * @throws Error when it fails.
 */
export function dryRun<Seen>(
  script: string,
  options?: { readonly args?: readonly string[]; readonly environment?: NodeJS.ProcessEnv },
): Seen;
