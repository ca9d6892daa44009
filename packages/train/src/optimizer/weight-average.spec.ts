import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSafetensors } from '@spatialsv/core';
import { readGolden } from '@spatialsv/core/testing';
import { createTensor, float32 } from '@spatialsv/engine';
import { checkpointFolder } from '../checkpoint/checkpoint.js';
import { readMetrics } from '../run-folder/metrics-log.js';
import { openToyBackbone } from '../testing/toy-backbone.js';
import { toySource } from '../testing/toy-data.js';
import { toyConfig, writeToyInputs } from '../testing/toy-run.js';
import { type TrainOptions, train } from '../train.js';
import { WeightAverage } from './weight-average.js';

const FOLDER = join(__dirname, '../__golden__/weight-average');

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'average-'));
  await writeToyInputs(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('the average of weights', () => {
  it('is that of torch.optim.swa_utils.AveragedModel', async () => {
    const golden = await readGolden<{
      readonly steps: number;
      readonly decay: number;
      readonly shape: readonly number[];
    }>(FOLDER);
    const { steps, decay, shape } = golden.info;
    const [parameters, averages] = [golden.float32('parameters'), golden.float32('averages')];
    const w = createTensor(float32(...shape), undefined, 'cpu');
    const average = await WeightAverage.create({ w }, decay, 'cpu');
    const size = parameters.length / steps;
    for (let t = 1; t <= steps; t++) {
      await w.write(parameters.slice((t - 1) * size, t * size));
      await average.update(t);
      const found = await average.tensors['w']!.read();
      for (let i = 0; i < size; i++)
        expect(Math.abs(found[i]! - averages[(t - 1) * size + i]!)).toBeLessThan(1e-6);
    }
    await average.dispose();
    w.dispose();
  });
});

async function run(out: string, use: boolean, options: Partial<TrainOptions> = {}) {
  const config = toyConfig(folder, out, {
    ema: { decay: 0.6, use },
    evaluation: { data: [{ path: join(folder, 'data.jsonl'), limit: 2 }], every: 2 },
  });
  const backbone = await openToyBackbone(config.model);
  const { checkpoint } = await train(config, { backbone, source: toySource, ...options });
  return { config, checkpoint };
}

const bytes = (checkpoint: string, file: string) => readFileSync(join(checkpoint, file));

describe('a run with averaged weights', () => {
  it('measures and writes the averages where they are used, and the others where not', async () => {
    const [used, kept] = [await run('used', true), await run('kept', false)];
    // What is learnt is the same.
    const state = 'trainer/state.safetensors';
    expect(bytes(used.checkpoint, state).equals(bytes(kept.checkpoint, state))).toBe(true);
    const name = 'model.layers.0.mlp.up_proj.weight';
    const trainer = await openSafetensors(join(used.checkpoint, state));
    for (const [{ checkpoint }, kind] of [
      [used, 'average'],
      [kept, 'parameters'],
    ] as const) {
      const model = await openSafetensors(join(checkpoint, 'model.safetensors'));
      expect(await model.readFloat32(name)).toEqual(await trainer.readFloat32(`${kind}/${name}`));
    }
    const heldOut = async ({ config }: typeof used) =>
      (await readMetrics(config.out)).at(-1)!.heldOut!.losses.total!;
    expect(await heldOut(used)).not.toBeCloseTo(await heldOut(kept), 3);
  });

  it('continues bit for bit after an interruption', async () => {
    const straight = checkpointFolder(join(folder, 'used'), 4);
    const abort = new AbortController();
    const onStep = ({ step }: { step: number }) => step === 2 && abort.abort();
    await run('stopped', true, { signal: abort.signal, onStep });
    const { checkpoint } = await run('stopped', true, { resume: true });
    for (const file of ['trainer/state.safetensors', 'model.safetensors'])
      expect(bytes(checkpoint, file).equals(bytes(straight, file))).toBe(true);
  });
});
