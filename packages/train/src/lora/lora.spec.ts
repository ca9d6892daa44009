import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mergeLowRank, openSafetensors, readPeftAdapter } from '@spatialsv/core';
import { expectAllclose } from '@spatialsv/core/testing';
import { checkpointFolder } from '../checkpoint/checkpoint.js';
import type { TrainConfig, TrainConfigInput } from '../config/schema.js';
import { readMetrics } from '../run-folder/metrics-log.js';
import { openToyBackbone } from '../testing/toy-backbone.js';
import { toySource } from '../testing/toy-data.js';
import { toyConfig, writeToyInputs } from '../testing/toy-run.js';
import { type TrainOptions, train } from '../train.js';

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lora-'));
  await writeToyInputs(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

const LORA: Partial<TrainConfigInput> = { train: { llm: 'lora' }, lora: { rank: 2 } };

const configure = (out: string, input: Partial<TrainConfigInput> = LORA) =>
  toyConfig(folder, out, input);

async function run(config: TrainConfig, options: Partial<TrainOptions> = {}) {
  const backbone = await openToyBackbone(config.model);
  return train(config, { backbone, source: toySource, ...options });
}

const namesIn = async (file: string) => (await openSafetensors(file)).names;
const trainedBy = async (checkpoint: string) =>
  (await namesIn(join(checkpoint, 'trainer/state.safetensors'))).flatMap(
    (name) => /^parameters\/(.*)$/.exec(name)?.[1] ?? [],
  );
const lossesOf = async (config: TrainConfig) =>
  (await readMetrics(config.out)).map(({ losses }) => losses.total);

describe('a run with low-rank updates', () => {
  it('writes an adapter in the layout of PEFT, with what is trained as a whole and the heads', async () => {
    const { checkpoint } = await run(configure('layout'));
    expect(readdirSync(checkpoint).sort()).toEqual([
      ...['adapter_config.json', 'adapter_model.safetensors', 'spatialsv', 'trainer'],
    ]);
    const settings = JSON.parse(readFileSync(join(checkpoint, 'adapter_config.json'), 'utf8'));
    expect(settings).toMatchObject({ peft_type: 'LORA', r: 2, lora_alpha: 32, bias: 'none' });
    const at = 'model.language_model.layers';
    expect(settings.target_modules).toContain(`${at}.1.self_attn.q_proj`);
    expect(settings.modules_to_save).toEqual(['model.visual.merger']);
    const names = await namesIn(join(checkpoint, 'adapter_model.safetensors'));
    expect(names).toContain(`base_model.model.${at}.0.mlp.up_proj.lora_A.weight`);
    expect(names).toContain('base_model.model.model.visual.merger.weight');
    expect(names).toHaveLength(2 * 14 + 1);
  });

  it('merges into a checkpoint of W + α/r · B · A', async () => {
    const config = configure('merged', { ...LORA, schedule: { steps: 4, warmupRatio: 0 } });
    const { checkpoint } = await run(config);
    const backbone = await openToyBackbone(config.model);
    const adapter = await readPeftAdapter(checkpoint, backbone.weights);
    const whole = join(folder, 'whole');
    await backbone.save(whole, await mergeLowRank(backbone, adapter));
    const weights = await openSafetensors(join(whole, 'model.safetensors'));
    const base = await openSafetensors(join(config.model, 'model.safetensors'));
    const q = 'model.layers.0.self_attn.q_proj';
    const [a, b] = ['A', 'B'].map((part) => adapter.updates[`${q}.lora_${part}.weight`]!);
    const expected = Float32Array.from(await base.readFloat32(`${q}.weight`), (value, i) => {
      const [row, column] = [Math.floor(i / 16), i % 16];
      const update = [0, 1].reduce(
        (sum, r) => sum + b!.data[2 * row + r]! * a!.data[16 * r + column]!,
        0,
      );
      return value + 16 * update;
    });
    expectAllclose(await weights.readFloat32(`${q}.weight`), expected, { atol: 1e-6 });
  });

  it('has the losses of the checkpoint that it is merged into, to 1e-5, at several lengths', async () => {
    const path = join(folder, 'lengths.jsonl');
    const rows = readFileSync(join(folder, 'data.jsonl'), 'utf8').trim().split('\n').slice(0, 3);
    const longer = rows.map((row, i) => ({
      ...JSON.parse(row),
      question: 'where '.repeat(1 + 9 * i),
    }));
    writeFileSync(path, longer.map((row) => `${JSON.stringify(row)}\n`).join(''));
    // All samples are in every step.
    const text = { arm: 'text' as const, data: [{ path }], batchSize: 3 };
    const steps = {
      schedule: { steps: 3, warmupRatio: 0 },
      checkpointEvery: 1,
      keepCheckpoints: 3,
    };
    const config = configure('unmerged', { ...LORA, ...text, ...steps });
    await run(config);
    const backbone = await openToyBackbone(config.model);
    const adapter = await readPeftAdapter(checkpointFolder(config.out, 2), backbone.weights);
    const model = join(folder, 'merged-model');
    await backbone.save(model, await mergeLowRank(backbone, adapter));
    const merged = configure('of-merged', { ...text, model, schedule: { steps: 1 } });
    await run(merged);
    const [[found], [first, , third]] = [await lossesOf(merged), await lossesOf(config)];
    expect(Math.abs(found! / third! - 1)).toBeLessThan(1e-5);
    expect(Math.abs(first! / third! - 1)).toBeGreaterThan(1e-2);
  });

  it('resumes to the bit, with dropout, whether layers are computed again or not', async () => {
    for (const recompute of ['none', 'layer'] as const) {
      const input = { ...LORA, recompute, lora: { rank: 2, dropout: 0.2 } };
      const straight = configure(`straight-${recompute}`, input);
      const stopped = configure(`stopped-${recompute}`, input);
      const { checkpoint } = await run(straight);
      const abort = new AbortController();
      const onStep = ({ step }: { readonly step: number }) => step === 2 && abort.abort();
      await run(stopped, { signal: abort.signal, onStep });
      const resumed = await run(stopped, { resume: true });
      const state = (at: string) => readFileSync(join(at, 'trainer/state.safetensors'));
      expect(state(resumed.checkpoint).equals(state(checkpoint))).toBe(true);
    }
    const [plain, layered] = await Promise.all(
      ['none', 'layer'].map((recompute) => lossesOf(configure(`straight-${recompute}`))),
    );
    // The same inputs are dropped: without that the losses differ by a tenth.
    for (const [step, loss] of plain!.entries()) expect(layered![step]).toBeCloseTo(loss!, 4);
    const undropped = configure('undropped');
    await run(undropped);
    expect((await lossesOf(undropped))[1]).not.toBeCloseTo(plain![1]!, 4);
  });
});

describe('what is trained', () => {
  const steps = { schedule: { steps: 1, warmupRatio: 0 } };

  it('is narrowed by targets, as PEFT takes them, and by patterns', async () => {
    const targets = ['q_proj', 'model.layers.1.mlp.*'];
    const { checkpoint } = await run(
      configure('targets', { ...steps, train: { llm: 'lora', mm: 'frozen' }, lora: { targets } }),
    );
    const updated = (await trainedBy(checkpoint)).filter((name) => name.endsWith('lora_A.weight'));
    expect(updated.sort()).toEqual([
      'model.layers.0.self_attn.q_proj.lora_A.weight',
      'model.layers.1.mlp.down_proj.lora_A.weight',
      'model.layers.1.mlp.gate_proj.lora_A.weight',
      'model.layers.1.mlp.up_proj.lora_A.weight',
      'model.layers.1.self_attn.q_proj.lora_A.weight',
    ]);
  });

  it('is full, updated or frozen by name', async () => {
    const names = {
      'model.layers.0.**': 'frozen',
      'model.layers.*.*norm.weight': 'full',
      'visual.merger.weight': 'lora',
    } as const;
    const { checkpoint } = await run(
      configure('names', { ...steps, train: { llm: 'lora', heads3d: 'frozen', names } }),
    );
    const trained = await trainedBy(checkpoint);
    expect(trained).toContain('model.layers.0.input_layernorm.weight');
    expect(trained).toContain('visual.merger.lora_B.weight');
    expect(trained.filter((name) => name.startsWith('model.layers.0.'))).toHaveLength(2);
    expect(trained.some((name) => name.startsWith('spatial.'))).toBe(false);
  });

  it.each<[string, Partial<TrainConfigInput>, RegExp]>([
    ['a target', { lora: { targets: ['w_proj'] } }, /lora\.targets: "w_proj" fits nothing/],
    ['a pattern', { train: { names: { 'model.x': 'full' } } }, /train\.names: "model\.x" fits/],
    ['a rate of 0', { optimizer: { learningRates: { languageModel: 0 } } }, /no linear layer/],
  ])('names %s that fits nothing', async (_what, input, message) => {
    const merged = { ...LORA, ...input, train: { llm: 'lora' as const, ...input.train } };
    await expect(run(configure('wrong', merged))).rejects.toThrow(message);
  });
});
