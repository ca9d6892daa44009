import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  builtInContributions,
  float32Source,
  openSafetensors,
  type SafetensorsReader,
  saveWeights,
} from '@spatialsv/core';
import { readGolden } from '@spatialsv/core/testing';
import { completeConfig } from '../config/run-config.js';
import type { SampleInputs } from '../data/sample-inputs.js';
import { baseRates } from '../groups.js';
import { createModelState, type ModelState } from '../model-state.js';
import { clipCoefficient } from '../optimizer/adamw.js';
import { openRunner, type Recompute } from '../step/open-runner.js';
import { openToyBackbone, writeToyCheckpoint } from '../testing/toy-backbone.js';
import { toyConfig } from '../testing/toy-run.js';

const GOLDEN = join(__dirname, '../__golden__/lora');
const CELLS = 4;
const CHANNELS = 6;

let folder: string;
let vectors: SafetensorsReader;
let record: {
  readonly steps: number;
  readonly rank: number;
  readonly alpha: number;
  readonly rates: { readonly languageModel: number; readonly projector: number };
  readonly weight_decay: number;
  readonly clip: number;
  readonly tolerance: { readonly step: number; readonly curve: number };
};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lora-golden-'));
  vectors = await openSafetensors(join(GOLDEN, 'vectors.safetensors'));
  record = (await readGolden<typeof record>(GOLDEN)).info;
  await writeToyCheckpoint(folder, 1);
  const toy = await openSafetensors(join(folder, 'model.safetensors'));
  const tensors = await Promise.all(
    toy.names.map(async (name) => {
      const golden = `base.${name}`;
      const from = vectors.names.includes(golden) ? vectors : toy;
      const key = from === vectors ? golden : name;
      return [name, float32Source(await from.readFloat32(key), from.info(key).shape)] as const;
    }),
  );
  await saveWeights(folder, new Map(tensors));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** State and step of the model of the golden, its updates as the reference began with them. */
async function setUp(recompute: Recompute) {
  const backbone = await openToyBackbone(folder);
  const written = toyConfig(folder, 'run', {
    train: { llm: 'lora', mm: 'lora', names: {} },
    lora: { rank: record.rank, alpha: record.alpha },
    optimizer: {
      learningRates: { ...record.rates, spatial: 0 },
      weightDecay: record.weight_decay,
      gradientClip: record.clip,
    },
    arm: 'text',
  });
  const config = completeConfig(written, backbone.config);
  const find = builtInContributions().resolveGeometryHead;
  const { type, ...options } = config.heads;
  const heads = { model: await find(type).configure(options), taps: [], find };
  const state = await createModelState(config, backbone, heads, undefined);
  const model = { backbone, heads: heads.model, losses: config.losses, taps: [] };
  for (const [name, tensor] of Object.entries(state.optimizer.parameters))
    await tensor.write(await vectors.readFloat32(`start.${name}`));
  return { config, state, runner: openRunner(model, state, { recompute, device: 'cpu' }) };
}

async function sample(index: number): Promise<SampleInputs> {
  const golden = await readGolden(GOLDEN);
  const [ids, labels] = ['ids', 'labels'].map((name) =>
    golden.int32(`sample.${index}.${name}`),
  ) as [Int32Array, Int32Array];
  const tokens = ids.length;
  const at = [...labels.keys()].filter((row) => labels[row]! >= 0);
  const inputIds = ids.slice();
  const features = golden.float32(`sample.${index}.features`);
  const cells = Int32Array.from({ length: CELLS }, (_, cell) => cell);
  return {
    shape: {
      ...{ tokens, positionRows: 1, targets: at.length, geometry: false, featureChannels: 0 },
      views: [{ layout: { key: '2x2' }, h: 2, w: 2, features: [CELLS, CHANNELS] }],
    },
    tokens,
    hasText: true,
    tensors: {
      inputIds,
      positions: inputIds.map((_, i) => i),
      spliceIndex: inputIds.map((_, i) => (i < CELLS ? tokens + i : i)),
      targetRows: Int32Array.from(at, (row) => row - 1),
      targets: Int32Array.from(at, (row) => labels[row]!),
      targetWeights: new Float32Array(at.length).fill(1 / at.length),
      features: { v0: features },
      cells: { v0: cells },
    },
  } as SampleInputs;
}

async function expectAfter({ optimizer }: ModelState, step: number): Promise<void> {
  for (const [name, tensor] of Object.entries(optimizer.parameters)) {
    const expected = await vectors.readFloat32(`after.${step}.${name}`);
    const found = (await tensor.read()) as Float32Array;
    const scale = Math.max(...expected.map(Math.abs));
    const worst = Math.max(...expected.map((value, i) => Math.abs(value - found[i]!)));
    if (worst > record.tolerance.step * scale)
      throw new Error(`step ${step}: ${name} differs by ${worst} of ${scale}`);
  }
}

describe('training with low-rank updates', () => {
  it('updates the layers that PEFT does', async () => {
    const { state, runner } = await setUp('none');
    const started = vectors.names.flatMap((name) => /^start\.(.*)$/.exec(name)?.[1] ?? []);
    expect(Object.keys(state.optimizer.parameters).sort()).toEqual(started.sort());
    await runner.dispose();
  });

  it.each(['none', 'layer'] as const)(
    'takes the steps of PEFT, transformers and torch.optim.AdamW, recompute: %s',
    async (recompute) => {
      const { config, state, runner } = await setUp(recompute);
      const { optimizer } = state;
      const samples = [await sample(0), await sample(1)];
      const expected = await vectors.readFloat32('losses');
      for (let step = 0; step < record.steps; step++) {
        for (const [index, inputs] of samples.entries()) {
          const [losses] = await runner.run([inputs]);
          const reference = expected[2 * step + index]!;
          expect(Math.abs(losses!.text! - reference)).toBeLessThanOrEqual(
            record.tolerance.curve * reference,
          );
        }
        const norm = (await optimizer.gradientNorm()) / samples.length;
        const scale = clipCoefficient(norm, record.clip) / samples.length;
        await optimizer.step(step + 1, baseRates(config), scale);
        if (step === 0) await expectAfter(state, 1);
      }
      await runner.dispose();
      await optimizer.dispose();
    },
  );
});
