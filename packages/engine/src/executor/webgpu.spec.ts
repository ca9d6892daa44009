import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { hasSoftwareVulkan, softwareVulkanEnvironment } from '../testing/software-vulkan.cjs';

const fixtures = join(__dirname, '__fixtures__');

/** In a child process: a crash of the driver must not take the other tests along. */
function runChecks(environment: NodeJS.ProcessEnv) {
  return spawnSync(
    process.execPath,
    [
      ...process.execArgv,
      '-r',
      join(fixtures, 'register.cjs'),
      join(fixtures, 'webgpu-checks.cjs'),
    ],
    { encoding: 'utf8', env: { ...process.env, ...environment }, timeout: 600_000 },
  );
}

const available = hasSoftwareVulkan('The executor on WebGPU');
(available ? describe : describe.skip)('executor on WebGPU', () => {
  let seen: Record<string, Record<string, unknown>>;

  beforeAll(() => {
    const child = runChecks(softwareVulkanEnvironment());
    if (child.status !== 0)
      throw new Error(`child ended with ${child.status ?? child.signal}: ${child.stderr}`);
    seen = JSON.parse(child.stdout);
  });

  it('renews arrays of the host at every run', () => {
    expect(seen.hostToHost).toEqual({ first: [11, 22, 33, 44], afterChange: [110, 22, 33, 44] });
  });

  it('gives new device memory to every run', () => {
    expect(seen.freshOutputs).toEqual({
      device: 'webgpu',
      first: [1, 1, 1, 1],
      second: [2, 2, 2, 2],
    });
  });

  it('keeps state on the device across runs and sessions', () => {
    expect(seen.residentState).toEqual({
      devices: ['webgpu', 'webgpu'],
      result: [12, 14, 16, 18],
    });
  });

  it('reads a weight that is too large for one tensor in pieces', () => {
    expect(seen.dividedWeight).toEqual({
      y: [1024, 2048, 3072, 4096],
      back: [1024 * (1 + 4 + 9 + 16)],
      rows: [1, 2, 3, 4],
    });
  });

  it('brings a weight in bfloat16 there as float16, for programs that compute in it', () => {
    // 1.5, −2, 0.25 and 8.
    const bits = [0x3e00, 0xc000, 0x3400, 0x4800];
    expect(seen.narrowWeight).toEqual({ device: 'webgpu', dtype: 'float16', bits });
  });

  it('computes there what its provider has no operators for', () => {
    expect(seen.substitutes!.webgpu).toEqual(seen.substitutes!.cpu);
  });

  it('leaves no operation and no gradient to the CPU but those that no step of a program needs', () => {
    expect(seen.withoutKernels).toEqual([
      'isNaN',
      'pad of booleans',
      ...['argMax', 'argMin', 'argMax of one'],
      ...['floorDiv', 'floorDiv and mod of large integers, by 0 and by -1'],
    ]);
  });

  it('refuses what no buffer takes by its name, and goes on', () => {
    expect(seen.largeTensors).toEqual({
      weight: expect.stringMatching(
        /^RUN_FAILED: head: weight "w", F32 \(281600, 1024\), takes 1100 MiB on webgpu/,
      ),
      tensor: expect.stringMatching(
        /^RUN_FAILED: head: "w", float32 \(281600, 1024\), takes 1100 MiB on webgpu/,
      ),
    });
    expect(seen.afterwards).toEqual(seen.hostToHost);
  });

  it('runs a graph from a file, with outputs of any size', () => {
    expect(seen.graphFromFile).toEqual([
      { shape: [1, 2], data: [2, 4] },
      { shape: [2, 2], data: [6, 8, 10, 12] },
    ]);
  });
});

(process.platform === 'linux' ? describe : describe.skip)('executor without a GPU', () => {
  it('says that the device is not available', () => {
    const child = runChecks({ VK_DRIVER_FILES: '/nonexistent.json', LD_LIBRARY_PATH: '' });
    expect(child.status).not.toBe(0);
    expect(child.stderr).toContain('DEVICE_UNAVAILABLE');
  });
});
