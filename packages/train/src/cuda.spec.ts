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
  readonly cudaGraphLaunch: number;
  readonly cudaStreamBeginCapture: number;
  readonly 'recorded copy of the host': number;
  readonly 'recorded call of the host': number;
  readonly 'refused while recording': number;
}

interface TakenBytes {
  readonly sizes: Readonly<Record<'hiddenSize' | 'headDim' | 'intermediateSize', number>>;
  readonly rank: number;
  readonly depths: readonly [number, number];
  /** By run, by depth: after each step. */
  readonly seen: Readonly<Record<string, readonly (readonly number[])[]>>;
}

/** As the arena of a GPU gives it out. */
const allocated = (bytes: number): number => 256 * Math.ceil(bytes / 256);

/** Shapes of the weights of a layer of the toy: products, biases, norms. */
function layerShapes({ hiddenSize: c, headDim, intermediateSize: m }: TakenBytes['sizes']) {
  const matrices = [
    ...[
      [c, c],
      [headDim, c],
      [headDim, c],
      [c, c],
    ],
    ...[
      [m, c],
      [m, c],
      [c, m],
    ],
  ] as const;
  return { matrices, vectors: [c, headDim, headDim, c, c] };
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/** What a layer of the decoder takes in a training of everything: each value, its gradient and its two moments. */
function trainedBytes({ sizes }: TakenBytes): number {
  const { matrices, vectors } = layerShapes(sizes);
  return (
    4 * sum([...matrices.map(([out, into]) => out * into), ...vectors].map((n) => allocated(4 * n)))
  );
}

/** What it takes with low-rank updates: weights in the 16 bits in which they are stored, updates with all that belongs to them, and their scales. */
function updatedBytes({ sizes, rank }: TakenBytes): number {
  const { matrices, vectors } = layerShapes(sizes);
  const frozen = [...matrices.map(([out, into]) => out * into), ...vectors];
  const updates = matrices.flatMap(([out, into]) => [rank * into, out * rank]);
  return (
    sum(frozen.map((n) => allocated(2 * n))) +
    4 * sum(updates.map((n) => allocated(4 * n))) +
    matrices.length * allocated(4)
  );
}

const folder = mkdtempSync(join(tmpdir(), 'cuda-train-'));
afterAll(() => rmSync(folder, { recursive: true }));

const trainSteps = (out: string, steps: number, settings: object): StepCounts[] =>
  dryRun(join(__dirname, '__fixtures__/cuda-train.cjs'), {
    args: [folder, out, String(steps), JSON.stringify(settings)],
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
      const seen = trainSteps(`run-${recompute}`, steps, { recompute });
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

  it.each([
    ['layer', 40],
    ['none', 310],
  ] as const)(
    'recomputing %s, replays what can be recorded of a step: text alone',
    (recompute, most) => {
      // Questions of one length, so that programs are given the same tensors.
      const seen = trainSteps(`graphs-${recompute}`, 10, {
        ...{ recompute, arm: 'text', cudaGraphs: true },
      });
      const recording = seen.filter(({ cudaStreamBeginCapture: began }) => began > 0);
      expect(recording.length).toBeGreaterThan(0);
      for (const step of recording)
        expect(step).toMatchObject({
          ...{ 'recorded copy of the host': 0, 'recorded call of the host': 0 },
          'refused while recording': 0,
        });
      const last = seen.slice(7);
      for (const step of last) {
        // Each parameter is updated by one graph, and by 18 kernels without.
        expect(step.launch).toBeLessThan(most);
        expect(step.cudaGraphLaunch).toBeGreaterThan(25);
        expect(step).toMatchObject({ cudaStreamBeginCapture: 0, cudaMalloc: 0, DeviceToHost: 2 });
        expect(step.live).toBe(last[0]!.live);
      }
    },
  );

  it('holds each value once, with its gradient and moments, and what is frozen as it is stored', () => {
    const bytes = mkdtempSync(join(folder, 'bytes-'));
    const taken: TakenBytes = dryRun(join(__dirname, '__fixtures__/cuda-bytes.cjs'), {
      args: [bytes],
    });
    const [few, many] = taken.depths;
    const expected = { full: trainedBytes, whole: trainedBytes, lora: updatedBytes };
    for (const [run, bytesOf] of Object.entries(expected)) {
      const [shallow, deep] = taken.seen[run]!;
      expect(shallow).toHaveLength(3);
      for (const [step, before] of shallow!.entries()) {
        const layer = (deep![step]! - before) / (many - few);
        // Beside it single numbers alone, of 256 bytes each: a copy of the weights in 16 bits would be 148 KB.
        expect({ run, step, more: Math.floor((layer - bytesOf(taken)) / 2048) }).toEqual({
          ...{ run, step },
          more: 0,
        });
      }
    }
  });
});
