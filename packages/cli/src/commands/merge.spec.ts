import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { float32Source, openSafetensors, writeSafetensors } from '@spatialsv/core';
import { runForTest } from '../testing/test-run.js';

const root = mkdtempSync(join(tmpdir(), 'spatialsv-merge-'));
const model = join(root, 'model');
const adapter = join(root, 'adapter');
const LAYER = 'base_model.model.model.language_model.layers.0.self_attn.q_proj';
const WEIGHT = 'model.layers.0.self_attn.q_proj.weight';
const RANK = 2;

const pattern = (length: number) => Float32Array.from({ length }, (_, i) => Math.sin(i) / 8);

async function writeAdapter(settings: object = {}, name = LAYER, width = 32): Promise<void> {
  const config = { peft_type: 'LORA', r: RANK, lora_alpha: 3, bias: 'none', ...settings };
  rmSync(adapter, { recursive: true, force: true });
  mkdirSync(adapter);
  writeFileSync(join(adapter, 'adapter_config.json'), JSON.stringify(config));
  const tensors = new Map([
    [`${name}.lora_A.weight`, float32Source(pattern(RANK * width), [RANK, width])],
    [`${name}.lora_B.weight`, float32Source(pattern(32 * RANK), [32, RANK])],
  ]);
  await writeSafetensors(join(adapter, 'adapter_model.safetensors'), tensors);
}

const merge = (out: string, ...more: string[]) =>
  runForTest(['merge', '--model', model, '--adapter', adapter, '--out', join(root, out), ...more]);

beforeAll(async () => {
  const size = ['--hidden-size', '32', '--layers', '4', '--attention-heads', '2'];
  await runForTest(['tiny', '--family', 'qwen2.5-vl', '--out', model, ...size, '--heads']);
});
afterAll(() => rmSync(root, { recursive: true }));

describe('merge', () => {
  it.each<[string, object, number]>([
    ['α / r', {}, 3 / 2],
    ['α / √r', { use_rslora: true }, 3 / Math.sqrt(2)],
    ['a pattern of its own', { alpha_pattern: { q_proj: 7 } }, 7 / 2],
  ])('adds B · A times %s and leaves everything else', async (_what, settings, scale) => {
    await writeAdapter(settings);
    const { exitCode, out } = await merge('merged', '--json', '--force');
    expect(exitCode).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ layers: 1, replaced: 0, heads: true });
    const before = await openSafetensors(join(model, 'model.safetensors'));
    const after = await openSafetensors(join(root, 'merged/model.safetensors'));
    expect(after.names).toEqual(before.names);
    const [a, b] = [pattern(RANK * 32), pattern(32 * RANK)];
    const base = await before.readFloat32(WEIGHT);
    const merged = await after.readFloat32(WEIGHT);
    for (const [i, value] of base.entries()) {
      const [row, column] = [Math.floor(i / 32), i % 32];
      const update = b[2 * row]! * a[column]! + b[2 * row + 1]! * a[32 + column]!;
      expect(Math.abs(merged[i]! - value - scale * update)).toBeLessThan(1e-6);
    }
    const other = 'model.layers.1.self_attn.q_proj.weight';
    expect(await after.readFloat32(other)).toEqual(await before.readFloat32(other));
    const config = (folder: string) => readFileSync(join(folder, 'config.json'), 'utf8');
    expect(config(join(root, 'merged'))).toBe(config(model));
  });

  it.each<[string, () => Promise<void>, RegExp]>([
    ['another kind of adapter', () => writeAdapter({ peft_type: 'IA3' }), /FILE_INVALID.*LoRA/],
    ['DoRA', () => writeAdapter({ use_dora: true }), /FILE_INVALID.*use_dora/s],
    ['another width', () => writeAdapter({}, LAYER, 31), /SHAPE_MISMATCH.*\(2, 32\).*\(2, 31\)/],
    ['an unknown layer', () => writeAdapter({}, `${LAYER}x`), /WEIGHT_UNEXPECTED.*q_projx/],
  ])('refuses %s', async (_what, write, message) => {
    await write();
    const { exitCode, err } = await merge('refused');
    expect(exitCode).toBe(1);
    expect(err).toMatch(message);
  });

  it('does not write into a folder that holds something', async () => {
    await writeAdapter();
    const { exitCode, err } = await runForTest([
      ...['merge', '--model', model, '--adapter', adapter, '--out', model],
    ]);
    expect(exitCode).toBe(2);
    expect(err).toMatch(/USAGE.*--force/s);
  });
});
