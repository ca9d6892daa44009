import { mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { dryRun, hasPretendCuda } from '../testing/pretend-cuda/dry-run.cjs';
import { pretendCudaFolders } from '../testing/pretend-cuda/folder.cjs';

interface Counts {
  readonly launch: number;
  readonly product: number;
  readonly 'product tf32': number;
  readonly HostToDevice: number;
  readonly DeviceToHost: number;
  readonly cudaMalloc: number;
  readonly cublasCreate_v2: number;
  readonly cudaStreamSynchronize: number;
  readonly cudaDeviceSynchronize: number;
  readonly threads: number;
  readonly streams: number;
  readonly liveBytes: number;
}
interface Failure {
  readonly code: string;
  readonly message: string;
}
interface Seen {
  readonly report: { readonly runtime: { readonly gpus: readonly object[] } };
  readonly step: readonly Counts[];
  readonly arena: Readonly<Record<'inUseBytes' | 'peakBytes' | 'heldBytes', number>>;
  readonly compiled: readonly string[];
  readonly shapes: readonly number[];
  readonly trainShapes: readonly { readonly steps: readonly Counts[]; readonly bytes: number }[];
  readonly attention: { readonly taken: number; readonly scores: number };
  readonly weights: {
    readonly storedBytes: number;
    readonly bytes: number;
    readonly uploads: number;
  };
  readonly held: {
    readonly stateBytes: number;
    readonly heldBytes: number;
    readonly copies: number;
  };
  readonly second: Counts;
  readonly third: Failure;
  readonly numbered: Failure;
}

const { version: VERSION } = createRequire(__filename)('onnxruntime-node/package.json') as {
  version: string;
};
const SCRIPT = path.join(__dirname, '__fixtures__/cuda-dry-run.cjs');

(hasPretendCuda() ? describe : describe.skip)('the device "cuda" on pretend GPUs', () => {
  let seen: Seen;
  let rounded: Pick<Seen, 'step'>;
  beforeAll(() => {
    seen = dryRun(SCRIPT);
    rounded = dryRun(SCRIPT, { args: ['step'], environment: { SPATIALSV_TF32: '1' } });
  });

  it('finds both GPUs', () => {
    const gpu = { name: 'pretend GPU', memoryGib: 80, capability: '9.0', supported: true };
    expect(seen.report.runtime.gpus).toEqual([
      { index: 0, ...gpu },
      { index: 1, ...gpu },
    ]);
  });

  it('takes a training step wholly on the GPU, of which the batch comes and the loss goes', () => {
    const later = seen.step.slice(2);
    expect(later).toHaveLength(48);
    for (const step of later) {
      expect(step.launch).toBeGreaterThan(100);
      expect(step).toMatchObject({ product: 38, HostToDevice: 2, DeviceToHost: 1 });
    }
  });

  it('allocates nothing from the second step on, wherever the GPU puts what it gives', () => {
    const later = seen.step.slice(1);
    expect(later.map(({ cudaMalloc }) => cudaMalloc)).toEqual(later.map(() => 0));
    expect(new Set(later.map(({ liveBytes }) => liveBytes)).size).toBe(1);
  });

  it('works on one stream, on which the host waits for what it reads alone', () => {
    for (const { streams, ...waits } of seen.step.slice(1)) {
      expect(streams).toBe(1);
      expect(waits.cudaStreamSynchronize + waits.cudaDeviceSynchronize).toBe(1);
    }
  });

  it('compiles programs while another one runs', () => {
    expect(seen.compiled).toEqual(['compiled', 'run']);
  });

  it('says what its arena held at most', () => {
    const { inUseBytes, peakBytes, heldBytes } = seen.arena;
    expect(inUseBytes).toBeLessThan(peakBytes);
    expect(peakBytes).toBeGreaterThan(50_000);
    expect(heldBytes).toBeLessThanOrEqual(seen.step.at(-1)!.liveBytes);
  });

  it('runs on one thread, which keeps its handles', () => {
    expect(seen.step.map(({ threads }) => threads)).toEqual(seen.step.map(() => 1));
    expect(seen.step.slice(1).map(({ cublasCreate_v2: made }) => made)).toEqual(
      seen.step.slice(1).map(() => 0),
    );
  });

  it('leaves nothing behind of ten shapes', () => {
    expect(new Set(seen.shapes).size).toBe(1);
  });

  it('trains in ten shapes without the host, and leaves nothing behind of them', () => {
    const [first, second] = seen.trainShapes;
    expect(second!.bytes).toBe(first!.bytes);
    const steps = [...first!.steps, ...second!.steps];
    expect(steps).toHaveLength(60);
    // The first one brings the parameters.
    for (const step of steps.slice(1))
      expect(step).toMatchObject({ HostToDevice: 2, DeviceToHost: 1 });
    for (const third of steps.filter((_, i) => i % 3 === 2)) expect(third.cudaMalloc).toBe(0);
  });

  it('keeps no scores of a long sequence', () => {
    const { taken, scores } = seen.attention;
    expect(taken).toBeGreaterThan(scores / 20);
    expect(taken).toBeLessThan(scores / 2);
  });

  it('holds state once and copies none of it', () => {
    const { stateBytes, heldBytes, copies } = seen.held;
    expect(heldBytes).toBeGreaterThan(0.9 * stateBytes);
    expect(heldBytes).toBeLessThan(1.1 * stateBytes);
    expect(copies).toBe(0);
  });

  it('holds a weight once, in the type in which it is stored, for two programs', () => {
    const { storedBytes, bytes, uploads } = seen.weights;
    expect(bytes).toBeGreaterThan(0.9 * storedBytes);
    expect(bytes).toBeLessThan(1.1 * storedBytes);
    // In the second round the inputs of the two runs alone.
    expect(uploads).toBe(2);
  });

  it('rounds factors of products to TensorFloat-32 only where that is asked for', () => {
    expect(seen.step[0]).toMatchObject({ product: 38, 'product tf32': 0 });
    expect(rounded.step[0]).toMatchObject({ product: 38, 'product tf32': 38 });
  });

  it('opens the second GPU by its number, and no third one', () => {
    expect(seen.second).toMatchObject({ product: 38, HostToDevice: 2, DeviceToHost: 1 });
    expect(seen.third).toMatchObject({
      code: 'DEVICE_UNAVAILABLE',
      message: expect.stringContaining('this machine has 2 GPUs'),
    });
  });

  it('takes no more than it may, and says what limits it', () => {
    const environment = { SPATIALSV_GPU_MEMORY: '0.0001' };
    expect(dryRun(SCRIPT, { args: ['failure'], environment })).toMatchObject({
      code: 'RUN_FAILED',
      message: expect.stringContaining('is smaller than requested bytes'),
      hint: expect.stringContaining('SPATIALSV_GPU_MEMORY'),
    });
  });

  it('says of a driver that is too old what it is for', () => {
    // One thread: the process used to crash at its end.
    const environment = { PRETEND_CUDA_DRIVER: '12040', SPATIALSV_THREADS: '1' };
    expect(dryRun(SCRIPT, { args: ['failure'], environment })).toMatchObject({
      code: 'DEVICE_UNAVAILABLE',
      message: expect.stringContaining(
        'the driver is for CUDA 12.4, the libraries are of CUDA 13.0',
      ),
    });
  });

  it('says that cuDNN is missing before an operation needs it', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'without-cudnn-'));
    const { libraries, packages } = pretendCudaFolders(VERSION);
    for (const name of readdirSync(libraries).filter((each) => !each.startsWith('libcudnn')))
      symlinkSync(path.join(libraries, name), path.join(folder, name));
    const environment = { SPATIALSV_CUDA: `${folder}:${packages}` };
    const found = dryRun(SCRIPT, { args: ['failure'], environment });
    rmSync(folder, { recursive: true });
    expect(found).toMatchObject({
      code: 'DEVICE_UNAVAILABLE',
      message: expect.stringContaining('libcudnn.so.9'),
    });
  });

  it('of which there is one takes no number', () => {
    expect(seen.numbered).toMatchObject({
      code: 'DEVICE_UNAVAILABLE',
      message: expect.stringContaining('"cpu:1"'),
    });
  });
});
