import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  pretendCudaEnvironment,
  pretendCudaFolders,
} from '../../engine/src/testing/pretend-cuda/folder.cjs';
import { writeToyInputs } from './testing/toy-run.js';

const { version } = createRequire(require.resolve('@spatialsv/engine'))(
  'onnxruntime-node/package.json',
) as { version: string };
const folders = pretendCudaFolders(version);
const available = Object.values(folders).every((folder) => existsSync(folder));
if (!available) {
  console.warn('Training on a pretend GPU is skipped: run `node scripts/pretend-cuda.mjs` first.');
}

interface StepCounts {
  readonly launch: number;
  readonly product: number;
  readonly convolution: number;
  readonly HostToDevice: number;
  readonly DeviceToHost: number;
  readonly cudaMalloc: number;
  readonly live: number;
}

const folder = mkdtempSync(join(tmpdir(), 'cuda-train-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** In a child process: pretend libraries are nothing for the other tests. */
function trainSteps(recompute: 'none' | 'layer', steps: number): StepCounts[] {
  const child = spawnSync(
    process.execPath,
    [
      ...['-C', '@spatialsv/source', '-r'],
      join(__dirname, '../../engine/src/executor/__fixtures__/register.cjs'),
      join(__dirname, '__fixtures__/cuda-train.cjs'),
      ...[folder, `run-${recompute}`, String(steps), recompute],
    ],
    {
      encoding: 'utf8',
      timeout: 300_000,
      env: { ...process.env, ...pretendCudaEnvironment(folders) },
    },
  );
  if (child.status === 0) return JSON.parse(child.stdout) as StepCounts[];
  throw new Error(`child ended with ${child.status ?? child.signal}: ${child.stderr}`);
}

(available ? describe : describe.skip)('training on a pretend GPU', () => {
  beforeAll(() => writeToyInputs(folder));

  // Of six samples each has been seen, and its image encoded, after as many steps.
  it.each([
    ['none', 50],
    ['layer', 12],
  ] as const)(
    'recomputing %s, leaves every step but its batch and its figures there',
    (recompute, steps) => {
      const seen = trainSteps(recompute, steps);
      const later = seen.slice(6);
      expect(seen).toHaveLength(steps);
      for (const step of later) {
        expect(step).toMatchObject({ convolution: 41, cudaMalloc: 0, live: later[0]!.live });
        expect(step.product).toBeGreaterThan(200);
        // The losses, and the norm of the gradients.
        expect(step.DeviceToHost).toBe(2);
        expect(step.HostToDevice).toBe(later[0]!.HostToDevice);
      }
    },
  );
});
