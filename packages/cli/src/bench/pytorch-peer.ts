import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** `reference/bench_step.py` of the repository; absent in an installed package. */
const SCRIPT = fileURLToPath(new URL('../../../../reference/bench_step.py', import.meta.url));

/**
 * The same training step in PyTorch, where a Python with torch is found.
 * @returns what the script printed, or undefined when there is no Python, no torch or no script.
 */
export async function pytorchStep(size: object): Promise<Record<string, number> | undefined> {
  if (!existsSync(SCRIPT)) return undefined;
  const child = spawn('python3', [path.normalize(SCRIPT), JSON.stringify(size)], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let text = '';
  child.stdout.on('data', (chunk) => {
    text += chunk;
  });
  const code = await new Promise((resolve) => {
    child.on('error', () => resolve(-1));
    child.on('close', resolve);
  });
  return code === 0 ? JSON.parse(text) : undefined;
}
