import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRandom, openWeights, replaceWeights, saveWeights, writePng } from '@spatialsv/core';
import { runForTest } from '../testing/test-run.js';

const root = mkdtempSync(join(tmpdir(), 'spatialsv-non-finite-'));
const model = join(root, 'model');
const image = join(root, 'a.png');

beforeAll(async () => {
  const random = createRandom(1);
  const data = Uint8Array.from({ length: 56 * 56 * 3 }, () => random.uniform(0, 256));
  await writePng(image, data, { width: 56, height: 56, channels: 3 });
  const size = ['--hidden-size', '32', '--layers', '4', '--attention-heads', '2'];
  await runForTest(['tiny', '--family', 'qwen2.5-vl', '--out', model, '--heads', ...size]);
});

afterAll(() => rmSync(root, { recursive: true }));

/** A copy of the model with one value of a weight replaced. */
async function damaged(name: string, value: number, at: number): Promise<string> {
  const folder = join(root, `${name}-${value}`);
  if (existsSync(folder)) return folder;
  cpSync(model, folder, { recursive: true });
  const reader = await openWeights(model);
  const data = await reader.readFloat32(name);
  data[at] = value;
  await saveWeights(folder, replaceWeights(reader, new Map([[name, data]])));
  return folder;
}

const command = (name: string, folder: string, ...rest: string[]) =>
  runForTest([name, '--model', folder, '--images', image, ...rest]);

describe('a checkpoint with a value that is not finite', () => {
  const cases = [
    ['visual.blocks.0.mlp.up_proj.weight', Number.NaN],
    ['model.layers.1.mlp.down_proj.weight', Number.POSITIVE_INFINITY],
    ['model.norm.weight', Number.NEGATIVE_INFINITY],
  ] as const;

  it.each(cases)('is refused by lift and ask, which name %s', async (name, value) => {
    const folder = await damaged(name, value, 5);
    const out = join(root, `out-${name}`);
    const weight = new RegExp(`error\\[NON_FINITE\\].*weight ${name} holds ${value} at index 5`);
    const lifted = await command('lift', folder, '--out', out);
    expect(lifted).toMatchObject({ exitCode: 1, err: expect.stringMatching(weight) });
    expect(existsSync(out)).toBe(false);
    const asked = await command('ask', folder, '--question', 'Where?');
    expect(asked).toMatchObject({ exitCode: 1, err: expect.stringMatching(weight) });
  });

  it('is looked at by taps, which says so', async () => {
    const folder = await damaged('model.layers.1.mlp.down_proj.weight', Number.NaN, 0);
    const out = join(root, 'taps.safetensors');
    const sites = ['--sites', 'vision:1,layer:1,layer:2', '--question', 'Where?'];
    const { exitCode, err } = await command('taps', folder, '--out', out, ...sites);
    expect(exitCode).toBe(0);
    expect(err).toMatch(/warning: layer:2: found NaN at index 0/);
    expect(err).toMatch(/warning: logits: found NaN/);
    expect(err).not.toMatch(/layer:1:|vision:1/);
    expect(existsSync(out)).toBe(true);
  });

  it('is refused by lift where it lies in the heads', async () => {
    const folder = join(root, 'heads');
    cpSync(model, folder, { recursive: true });
    const { openSafetensors, writeSafetensors } = await import('@spatialsv/core');
    const reader = await openSafetensors(join(model, 'spatialsv/heads.safetensors'));
    const name = reader.names.find((each) => each.includes('depth') && each.endsWith('weight'))!;
    const data = await reader.readFloat32(name);
    data[3] = Number.NaN;
    const tensors = replaceWeights(reader, new Map([[name, data]]));
    await writeSafetensors(join(folder, 'spatialsv/heads.safetensors'), tensors);
    const { exitCode, err } = await command('lift', folder, '--out', join(root, 'out-heads'));
    expect(exitCode).toBe(1);
    expect(err).toContain(`weight ${name} holds NaN at index 3`);
  });
});
