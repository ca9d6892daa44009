import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { hasSoftwareVulkan, softwareVulkanEnvironment } from '../testing/software-vulkan.cjs';

interface Trained {
  readonly losses: number[];
  readonly gradients: Record<string, number[]>;
  readonly parameters: Record<string, number[]>;
  /** Names under which values of the host were bound to sessions of the GPU, step by step. */
  readonly copies: { readonly uploads: string[]; readonly downloads: string[] }[];
}

/** In a child process: a crash of the driver must not take the other tests along. */
function runBoth(): { cpu: Trained; webgpu: Trained } {
  const child = spawnSync(
    process.execPath,
    [
      ...process.execArgv,
      '-r',
      path.join(__dirname, '../executor/__fixtures__/register.cjs'),
      path.join(__dirname, '__fixtures__/webgpu-step.cjs'),
    ],
    {
      encoding: 'utf8',
      timeout: 600_000,
      maxBuffer: 1 << 26,
      env: { ...process.env, ...softwareVulkanEnvironment() },
    },
  );
  if (child.status === 0) return JSON.parse(child.stdout);
  throw new Error(`child ended with ${child.status ?? child.signal}: ${child.stderr}`);
}

const largest = (values: readonly number[]): number => Math.max(...values.map(Math.abs));

/** Largest difference relative to the largest element. */
const relative = (a: readonly number[], b: readonly number[]): number =>
  largest(a.map((value, i) => value - b[i]!)) / largest(b);

const available = hasSoftwareVulkan('A training step on WebGPU');
(available ? describe : describe.skip)('a training step on WebGPU with resident state', () => {
  let trained: { cpu: Trained; webgpu: Trained };
  beforeAll(() => {
    trained = runBoth();
  });

  it('agrees with the CPU in its losses', () => {
    expect(relative(trained.webgpu.losses, trained.cpu.losses)).toBeLessThan(1e-3);
    expect(trained.cpu.losses[2]).toBeLessThan(trained.cpu.losses[0]!);
  });

  it('brings the batch there and the loss back, and nothing else', () => {
    const [first, ...later] = trained.webgpu.copies;
    // Every parameter once, at its first use.
    expect(first!.uploads.length).toBeGreaterThan(10);
    // Reading a result is a run of its own, whose only output lies on the host.
    const resident = { uploads: ['ids', 'targets'], downloads: ['output'] };
    expect(later).toEqual([resident, resident]);
  });

  it.each(['gradients', 'parameters'] as const)('agrees with the CPU in its %s', (which) => {
    const worst = Object.entries(trained.cpu[which]).map(([name, values]) => ({
      name,
      difference: relative(trained.webgpu[which][name]!, values),
    }));
    expect(worst.filter(({ difference }) => !(difference < 1e-3))).toEqual([]);
  });
});
