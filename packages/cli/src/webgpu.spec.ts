import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createRandom, type GeometryLabelsV1, LabelStore, writePng } from '@spatialsv/core';
import { expectAllclose } from '@spatialsv/core/testing';
import {
  hasSoftwareVulkan,
  softwareVulkanEnvironment,
} from '../../engine/src/testing/software-vulkan.cjs';
import { runForTest } from './testing/test-run.js';

const root = mkdtempSync(join(tmpdir(), 'webgpu-commands-'));
const image = join(root, 'view.png');
afterAll(() => rmSync(root, { recursive: true }));

/** A script of the built program in a process of its own: a crash of the driver takes no test along. */
async function withWebgpu(script: string, ...args: string[]): Promise<string> {
  const file = join(__dirname, '../dist', script);
  const env = { ...process.env, ...softwareVulkanEnvironment() };
  const node = [...process.execArgv, file];
  const { stdout } = await promisify(execFile)(process.execPath, [...node, ...args], { env });
  return stdout;
}

const onWebgpu = (...args: string[]) => withWebgpu('main.js', ...args, '--device', 'webgpu');

async function labelsIn(folder: string): Promise<GeometryLabelsV1> {
  const store = await LabelStore.open(folder, { readOnly: true });
  const [key] = store.keys();
  const { labels } = store.read(key!)!;
  await store.close();
  return labels;
}

// A driver in software takes most of the time for compiling shaders, of which a model has some forty.
const available = hasSoftwareVulkan('Commands on WebGPU');
(available ? describe : describe.skip)('commands on WebGPU', () => {
  beforeAll(async () => {
    const random = createRandom(1);
    const data = Uint8Array.from({ length: 3 * 56 * 56 }, () => random.integer(256));
    await writePng(image, data, { width: 56, height: 56, channels: 3 });
  });

  it('are told by the doctor’s probe whether it computes in float16', async () => {
    const report = JSON.parse(await withWebgpu('device-probe-main.js', 'webgpu'));
    expect(report).toEqual({ device: 'webgpu', works: true, float16: false });
  });

  it('answer as on the CPU', async () => {
    const model = join(root, 'model');
    const size = ['--hidden-size', '32', '--layers', '2', '--attention-heads', '2'];
    await runForTest(['tiny', '--family', 'qwen2.5-vl', '--out', model, ...size]);
    const ask = ['ask', '--model', model, '--images', image, '--question', 'What?', '--json'];
    const limit = ['--max-new-tokens', '4'];
    const { out } = await runForTest([...ask, ...limit]);
    const [expected, found] = [JSON.parse(out), JSON.parse(await onWebgpu(...ask, ...limit))];
    expect(found.newTokens).toBe(4);
    expect(found.answer).toBe(expected.answer);
  });

  it('label as on the CPU', async () => {
    const weights = join(root, 'dav3');
    await runForTest(['tiny', '--family', 'dav3', '--out', weights]);
    const label = ['label', '--source', 'dav3', '--weights', weights, '--images', image];
    const small = ['--setting', 'resolution=56', '--on-error', 'fail'];
    const [own, other] = [join(root, 'cpu'), join(root, 'webgpu')];
    await runForTest([...label, ...small, '--out', own]);
    await onWebgpu(...label, ...small, '--out', other);
    const [found, expected] = [await labelsIn(other), await labelsIn(own)];
    expect(expected.depth).toHaveLength(56 * 56);
    // Labels are stored in 16 bits.
    expectAllclose(found.depth, expected.depth, { rtol: 2e-3, atol: 1e-3 });
    expectAllclose(found.intrinsics, expected.intrinsics, { rtol: 1e-3 });
  });
});
