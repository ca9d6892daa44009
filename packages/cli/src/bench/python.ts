import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import path from 'node:path';

/** The Python that `SPATIALSV_PYTHON` names, else `python3`. */
export const python = (): string => process.env['SPATIALSV_PYTHON'] ?? 'python3';

/**
 * Starts a script of `reference/`, which follows the bench (`bench_peer.py`): it ends as soon as its stdin does, whose other end this
 * process holds, so it never outlives this one.
 * @param settings its only argument, as JSON.
 */
export const startPython = (script: string, settings: object): ChildProcessWithoutNullStreams =>
  spawn(python(), [path.normalize(script), JSON.stringify(settings)]);

/** Whether {@link python} is there and has some modules. */
export function pythonHas(modules: readonly string[]): boolean {
  const names = JSON.stringify(modules);
  const check = `import importlib.util as u, sys; sys.exit(any(u.find_spec(n) is None for n in ${names}))`;
  return spawnSync(python(), ['-c', check], { stdio: 'ignore' }).status === 0;
}

/** Whether torch of {@link python} finds an NVIDIA GPU. Loads torch: seconds. */
export function torchHasGpu(): boolean {
  const check = 'import sys, torch; sys.exit(not torch.cuda.is_available())';
  return spawnSync(python(), ['-c', check], { stdio: 'ignore' }).status === 0;
}
