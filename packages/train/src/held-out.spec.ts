import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readDataset, readImage, readSpatialCheckpoint } from '@spatialsv/core';
import { BackboneRunner } from '@spatialsv/eval';
import { listCheckpoints } from './checkpoint/checkpoint.js';
import type { TrainConfigInput } from './config/schema.js';
import { learnableLabels, viewLabels } from './labels/label-maps.js';
import { readBest } from './run-folder/best.js';
import { readMetrics, type StepMetrics } from './run-folder/metrics-log.js';
import { EventFile, maskedChecksum } from './run-folder/tensorboard.js';
import { openToyBackbone } from './testing/toy-backbone.js';
import { toyLabels, toySource } from './testing/toy-data.js';
import { TOY_HEADS, toyConfig, writeToyInputs } from './testing/toy-run.js';
import { train } from './train.js';

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'held-out-'));
  await writeToyInputs(folder, 32);
});
afterAll(() => rmSync(folder, { recursive: true }));

const data = (limit = 32) => [{ path: join(folder, 'data.jsonl'), limit }];

async function run(out: string, input: Partial<TrainConfigInput>) {
  const config = toyConfig(folder, out, input);
  const backbone = await openToyBackbone(config.model);
  const result = await train(config, { backbone, source: toySource });
  return { config, ...result, metrics: await readMetrics(config.out) };
}

const tiny = { ...TOY_HEADS, tasks: ['depth', 'ray', 'point'] as ('depth' | 'ray' | 'point')[] };

describe('held-out samples', () => {
  it('are measured every so many steps and at the end, and say which checkpoint is the best', async () => {
    const { config, metrics } = await run('best', {
      schedule: { steps: 5, warmupRatio: 0 },
      evaluation: { data: data(4), every: 2, best: 'loss' },
      checkpointEvery: 1,
      keepCheckpoints: 1,
      // The last steps undo what the first have learnt.
      optimizer: { learningRates: { languageModel: 0.05, projector: 0.05, spatial: 0.05 } },
    });
    const measured = metrics.filter(({ heldOut }) => heldOut !== undefined);
    expect(measured.map(({ step }) => step)).toEqual([2, 4, 5]);
    const totals = measured.map(({ heldOut }) => heldOut!.losses.total!);
    const best = [2, 4, 5][totals.indexOf(Math.min(...totals))]!;
    expect(await readBest(config.out)).toEqual({
      step: best,
      criterion: 'loss',
      score: -Math.min(...totals),
    });
    expect(await listCheckpoints(config.out)).toEqual([...new Set([best, 5])].sort());
    expect(readlinkSync(join(config.out, 'checkpoints/best'))).toBe(`step-${best}`);
    expect(await readSpatialCheckpoint(join(config.out, 'checkpoints/best'))).toBeDefined();
  });

  it('do not change what is learnt', async () => {
    const alone = await run('alone', {});
    const watched = await run('watched', { evaluation: { data: data(3), every: 1 } });
    const losses = ({ metrics }: typeof alone) => metrics.map((step) => step.losses);
    expect(losses(watched)).toEqual(losses(alone));
  });

  it('have the accuracy of greedy answers and the depth error of predicted maps', async () => {
    const { config, checkpoint, metrics } = await run('answers', {
      data: data(8),
      heads: tiny,
      batchSize: 8,
      schedule: { steps: 25, warmupRatio: 0, type: 'constant' },
      evaluation: { data: data(12), every: 100 },
    });
    const { accuracy, depthRmse } = metrics.at(-1)!.heldOut!;
    const runner = new BackboneRunner(await openToyBackbone(checkpoint));
    const heads = (await readSpatialCheckpoint(checkpoint))!;
    const labels = learnableLabels(toyLabels(2), 'toy');
    let right = 0;
    const errors: number[] = [];
    for (const sample of await readDataset({ path: config.data[0]!.path, limit: 12 })) {
      const images = await Promise.all(sample.images.map((path) => readImage(path)));
      const { question = '', answer } = sample;
      const asked = await runner.backbone.prepare({ images, question });
      const target = await runner.backbone.prepare({ images, question, answer: answer! });
      const wanted = Array.from(target.inputIds.slice(asked.inputIds.length));
      const { ids, stoppedBy } = await runner.generate(asked, { maxNewTokens: wanted.length });
      // The answer ends with the token that ends the turn, which generation leaves out.
      if (ids.join() === wanted.slice(0, -1).join() && stoppedBy === 'end-of-turn') right += 1;
      const { depth, height, width } = await runner.predictGeometry(asked, heads);
      asked.grids.forEach(({ covered }, view) => {
        const maps = viewLabels(labels, view, { height, width, covered, image: images[view]! });
        const start = view * height * width;
        const squares = Array.from(maps.mask, (valid, i) =>
          valid === 1 ? (depth![start + i]! - maps.depth[i]!) ** 2 : 0,
        );
        const valid = maps.mask.reduce((sum, value) => sum + value, 0);
        errors.push(Math.sqrt(squares.reduce((sum, value) => sum + value, 0) / valid));
      });
    }
    await runner.dispose();
    expect(accuracy).toBeCloseTo(right / 12, 12);
    expect(right).toBeGreaterThan(0);
    expect(right).toBeLessThan(12);
    expect(depthRmse).toBeCloseTo(errors.reduce((sum, error) => sum + error) / errors.length, 4);
  });
});

describe('event files', () => {
  /** Records of a file; the checksums have to fit. */
  function records(file: Buffer): Buffer[] {
    const found: Buffer[] = [];
    for (let at = 0; at < file.length; ) {
      const length = Number(file.readBigUInt64LE(at));
      const header = file.subarray(at, at + 8);
      expect(file.subarray(at + 8, at + 12).equals(maskedChecksum(header))).toBe(true);
      const data = file.subarray(at + 12, at + 12 + length);
      expect(file.subarray(at + 12 + length, at + 16 + length).equals(maskedChecksum(data))).toBe(
        true,
      );
      found.push(data);
      at += 16 + length;
    }
    return found;
  }

  it('hold zeros, and leave out what is not finite', async () => {
    const out = mkdtempSync(join(tmpdir(), 'events-'));
    const events = await EventFile.create(out, 0);
    const losses = { total: 0, text: Number.NaN };
    await events.write({ step: 1, losses, learningRates: {} } as StepMetrics);
    const [name] = readdirSync(out);
    const { 2: step } = records(readFileSync(join(out, name!)));
    // simple_value = 2, four bytes, behind the tag.
    expect(step!.includes(Buffer.from('loss/total\x15\0\0\0\0', 'latin1'))).toBe(true);
    expect(step!.includes('loss/text')).toBe(false);
    rmSync(out, { recursive: true });
  });

  it('hold the metrics of every step', async () => {
    const { config } = await run('events', { evaluation: { data: data(2), every: 2 } });
    const [name] = readdirSync(config.out).filter((file) => file.startsWith('events.out.tfevents'));
    const events = records(readFileSync(join(config.out, name!)));
    expect(events).toHaveLength(2 + 4);
    expect(events[0]!.includes('brain.Event:2')).toBe(true);
    expect(events[2]!.includes('loss/text')).toBe(true);
    expect(events.map((event) => event.includes('held-out/accuracy'))).toEqual([
      ...[false, false],
      ...[false, true, false, true],
    ]);
    // Check value of CRC-32C, rotated and shifted.
    expect(maskedChecksum(Buffer.from('123456789')).readUInt32LE()).toBe(
      (((0xe3069283 >>> 15) | (0xe3069283 << 17)) + 0xa282ead8) >>> 0,
    );
  });

  it('are not written where they are not wanted', async () => {
    const { config } = await run('quiet', { tensorboard: false, schedule: { steps: 1 } });
    expect(readdirSync(config.out).filter((file) => file.includes('tfevents'))).toEqual([]);
  });
});
