import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { sizeOf } from '@spatialsv/engine';
import { openToyBackbone } from '../testing/toy-backbone.js';
import { toySource } from '../testing/toy-data.js';
import { toyConfig, writeToyInputs } from '../testing/toy-run.js';
import {
  type MeasureRequest,
  measureTraining,
  type TrainingMeasurement,
} from './measure-training.js';
import { peakAt, planTraining, secondsAt } from './training-plan.js';
import { truncateBackbone } from './truncate-backbone.js';

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(os.tmpdir(), 'plan-'));
  await writeToyInputs(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A machine whose memory and time are known. */
const known = (layers: number): TrainingMeasurement => ({
  layers,
  secondsPerSample: 1 + 0.5 * layers,
  peakMemoryMb: 300 + 20 * layers,
  layerMemoryMb: 12,
  programMemoryMb: 50 + 8 * layers,
  threads: 1,
  samples: 30,
});

describe('a plan', () => {
  it('goes on from two measurements to all layers', async () => {
    const asked: MeasureRequest[] = [];
    const config = toyConfig(folder, 'run', { batchSize: 4, schedule: { epochs: 2 } });
    const plan = await planTraining(config, 36, async (request) => {
      asked.push(request);
      return known(request.layers);
    });
    expect(asked.map(({ layers }) => layers)).toEqual([2, 9]);
    expect(plan).toMatchObject({ recompute: 'none', steps: 15, secondsPerStep: 4 * 19 });
    expect(plan.peakMemoryMb).toBeCloseTo(300 + 20 * 36);
  });

  it.each([
    [5, 4],
    [12, 6],
    [16, 8],
    [28, 8],
    [36, 9],
  ])('measures a decoder of %i layers with 2 and with %i of them', async (layers, more) => {
    const { measured } = await planTraining(toyConfig(folder, 'run'), layers, async (r) =>
      known(r.layers),
    );
    expect(measured.map((each) => each.layers)).toEqual([2, more]);
  });

  it('adds what layers take, by how much ever two processes differ', () => {
    const from = (few: number) => [{ ...known(2), peakMemoryMb: few }, known(6)];
    for (const few of [250, 340, 420]) expect(peakAt(from(few), 36)).toBe(420 + 20 * 30);
    expect(secondsAt(from(250), 36)).toBe(19);
  });

  it('measures the whole where single layers are named, and few', async () => {
    const named = toyConfig(folder, 'run', { trained: ['model.layers.20.**'] });
    for (const [config, layers] of [[named, 36] as const, [toyConfig(folder, 'run'), 3] as const]) {
      const { measured } = await planTraining(config, layers, async (r) => known(r.layers));
      expect(measured.map((each) => each.layers)).toEqual([layers]);
    }
  });

  it('takes what auto stands for from the memory that is free', async () => {
    const config = toyConfig(folder, 'run', { recompute: 'auto' });
    const asked: string[] = [];
    const plan = await planTraining(config, 2, async ({ layers, recompute }) => {
      asked.push(recompute);
      return { ...known(layers), peakMemoryMb: recompute === 'none' ? 1e9 : 5 };
    });
    expect(asked).toEqual(['none', 'layer']);
    expect(plan).toMatchObject({ recompute: 'layer', peakMemoryMb: 5 });
  });
});

describe('a measurement', () => {
  /** Measures in a temporary folder of its own: in that of the system others do at the same time. @returns what is left there, too. */
  async function inOwnPlace<Result>(measure: () => Promise<Result>) {
    const temporary = mkdtempSync(join(folder, 'temporary-'));
    const place = jest.spyOn(os, 'tmpdir').mockReturnValue(temporary);
    const result = await measure();
    const isUsed = place.mock.calls.length > 0;
    place.mockRestore();
    return { result, isUsed, left: readdirSync(temporary) };
  }

  it('trains with the first layers alone and leaves nothing behind', async () => {
    const config = toyConfig(folder, 'measured', { train: { llm: 'lora' } });
    const backbone = await openToyBackbone(config.model);
    const request = { layers: 1, recompute: 'layer' as const };
    const {
      result: measured,
      isUsed,
      left,
    } = await inOwnPlace(() => measureTraining(config, { backbone, source: toySource }, request));
    expect(measured).toMatchObject({ layers: 1, samples: 6, threads: 0 });
    expect(measured.secondsPerSample).toBeGreaterThan(0);
    expect(measured.peakMemoryMb).toBeGreaterThan(50);
    expect(isUsed).toBe(true);
    expect(left).toEqual([]);
    expect(readdirSync(folder)).not.toContain('measured');
  });

  it('leaves nothing behind where its heads cannot be opened', async () => {
    const config = toyConfig(folder, 'unheaded', { heads: { type: 'unknown' } });
    const backbone = await openToyBackbone(config.model);
    const options = { backbone, source: toySource };
    const { result: error, left } = await inOwnPlace(() =>
      measureTraining(config, options, { layers: 1, recompute: 'none' }).catch(
        (caught: unknown) => caught,
      ),
    );
    expect(error).toMatchObject({ message: expect.stringContaining('unknown') });
    expect(left).toEqual([]);
  });

  it.each(['none', 'layer'] as const)(
    'counts what a layer holds, and what programs take for it: recompute %s',
    async (recompute) => {
      const config = toyConfig(folder, 'counted', { arm: 'text', source: 'none' });
      const backbone = await openToyBackbone(config.model);
      const measure = (layers: number) =>
        measureTraining(config, { backbone }, { layers, recompute });
      const [few, more] = [await measure(1), await measure(2)];
      const taken = 2 ** 20 * (more.programMemoryMb - few.programMemoryMb);
      // The longest sample has 32 tokens; a layer keeps its input, and in one graph more.
      const input = 4 * 32 * backbone.config.hiddenSize;
      if (recompute === 'layer') expect(taken).toBe(input);
      else expect(taken).toBeGreaterThan(2 * input);
      const shapes = Object.values(backbone.decoder.layers[1]!.names).map(
        (name) => backbone.weights[name]!.shape,
      );
      const values = shapes.flatMap((shape) => sizeOf(shape));
      // Themselves, gradients and two moments; they are read out of their file.
      expect(2 ** 20 * more.layerMemoryMb).toBe(16 * values.reduce((sum, size) => sum + size, 0));
    },
  );

  it('keeps every weight that is not of a layer which is cut', async () => {
    const backbone = await openToyBackbone(join(folder, 'model'));
    const { weights, decoder, config } = truncateBackbone(backbone, 1);
    expect([decoder.layers.length, config.layers]).toEqual([1, 1]);
    const cut = Object.keys(backbone.weights).filter((name) => !(name in weights));
    expect(cut.sort()).toEqual(Object.values(backbone.decoder.layers[1]!.names).sort());
  });
});
