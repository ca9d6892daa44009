import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pretendCudaEnvironment, pretendCudaFolders } from './folder.cjs';

const { version } = createRequire(__filename)('onnxruntime-node/package.json') as {
  version: string;
};
const folders = pretendCudaFolders(version);
const source = path.join(__dirname, '../..');

/** Whether the dry run of the device `cuda` was prepared here; says what to do where it was not. */
export function hasPretendCuda(): boolean {
  const available = Object.values(folders).every((folder) => existsSync(folder));
  if (!available) {
    console.warn(
      'The dry run of the device "cuda" is skipped: run `node scripts/pretend-cuda.mjs` first.',
    );
  }
  return available;
}

/**
 * What a script prints on pretend GPUs, in a child process: pretend libraries are nothing for the other tests.
 * @param script below `src`. @throws Error when it fails.
 */
export function dryRun<Seen>(script: string, environment: NodeJS.ProcessEnv = {}): Seen {
  const register = path.join(source, 'executor/__fixtures__/register.cjs');
  const child = spawnSync(process.execPath, ['-r', register, path.join(source, script)], {
    encoding: 'utf8',
    timeout: 300_000,
    maxBuffer: 1 << 26,
    env: { ...process.env, ...pretendCudaEnvironment(folders), ...environment },
  });
  if (child.status === 0) return JSON.parse(child.stdout) as Seen;
  throw new Error(`child ended with ${child.status ?? child.signal}: ${child.stderr}`);
}
