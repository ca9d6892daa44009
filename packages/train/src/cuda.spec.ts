import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dryRun, hasPretendCuda } from '../../engine/src/testing/pretend-cuda/dry-run.cjs';
import { writeToyInputs } from './testing/toy-run.js';

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

const trainSteps = (recompute: 'none' | 'layer', steps: number): StepCounts[] =>
  dryRun(join(__dirname, '__fixtures__/cuda-train.cjs'), {
    args: [folder, `run-${recompute}`, String(steps), recompute],
  });

(hasPretendCuda() ? describe : describe.skip)('training on a pretend GPU', () => {
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
