import { spawnSync } from 'node:child_process';

/** The Python that `SPATIALSV_PYTHON` names, else `python3`. */
export const python = (): string => process.env['SPATIALSV_PYTHON'] ?? 'python3';

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
