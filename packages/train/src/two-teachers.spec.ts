import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { GeometryLabelsV1, LabellerV1 } from '@spatialsv/core';
import { checkpointFolder } from './checkpoint/checkpoint.js';
import type { TrainConfigInput } from './config/schema.js';
import { readMetrics } from './run-folder/metrics-log.js';
import { openToyBackbone } from './testing/toy-backbone.js';
import { toyLabels, toySource } from './testing/toy-data.js';
import { ONE_SCALE, TOY_HEADS, toyConfig, writeToyInputs } from './testing/toy-run.js';
import { type TrainOptions, train } from './train.js';

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'teachers-'));
  await writeToyInputs(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

const teacher = (depthOf: (depth: number, pixel: number) => number, content = 'a'): LabellerV1 => ({
  ...toySource,
  sourceId: 'second',
  contentOf: async () => content,
  doLabel: async ({ images }) => {
    const labels: GeometryLabelsV1 = toyLabels(images.length);
    return { ...labels, depth: labels.depth.map(depthOf) };
  },
});

/** The toy's labels in other units: after alignment the same. */
const SAME = teacher((depth) => depth);
/** The right half is further away by half. */
const OTHER = teacher((depth, pixel) => (pixel % 8 < 4 ? depth : 1.5 * depth));

async function run(
  out: string,
  options: Partial<TrainOptions>,
  input: Partial<TrainConfigInput> = {},
) {
  const config = toyConfig(folder, out, {
    signals: ['dep'],
    ...(options.secondTeacher !== undefined && { secondTeacher: { name: 'second' } }),
    ...input,
  });
  const backbone = await openToyBackbone(config.model);
  await train(config, { backbone, source: toySource, ...options });
  return { config, metrics: await readMetrics(config.out) };
}

describe('a second teacher', () => {
  it('that agrees changes nothing', async () => {
    const all: Partial<TrainConfigInput> = {
      signals: ['dep', 'poi', 'ray'],
      heads: { ...TOY_HEADS, tasks: ['depth', 'ray', 'point'] },
      losses: ONE_SCALE,
      schedule: { steps: 1 },
    };
    const { metrics: alone } = await run('alone', {}, all);
    const { metrics } = await run('same', { secondTeacher: SAME }, all);
    expect(alone[0]!.teachers).toBeUndefined();
    expect(metrics[0]!.teachers!.consensus).toBeCloseTo(1, 6);
    expect(metrics[0]!.teachers!.depthRmse).toBeCloseTo(0, 6);
    for (const [step, { losses }] of alone.entries())
      for (const term of ['depth', 'ray', 'point', 'total'] as const)
        expect(metrics[step]!.losses[term]!).toBeCloseTo(losses[term]!, 4);
  });

  it('that does not makes the labels count less, and is reported beside the error of the model', async () => {
    const evaluation = { data: [{ path: join(folder, 'data.jsonl'), limit: 2 }], every: 4 };
    const { metrics: alone } = await run('alone-held-out', {}, { evaluation });
    const { metrics } = await run('other', { secondTeacher: OTHER }, { evaluation });
    const { teachers } = metrics[0]!;
    expect(teachers!.consensus).toBeLessThan(0.7);
    expect(teachers!.depthRmse).toBeGreaterThan(0.1);
    expect(metrics[0]!.losses.depth!).not.toBeCloseTo(alone[0]!.losses.depth!, 2);
    const heldOut = metrics.at(-1)!.heldOut!;
    expect(heldOut.teachers!.depthRmse).toBeGreaterThan(0.1);
    expect(heldOut.depthRmse).toBeGreaterThan(0);
    expect(alone.at(-1)!.heldOut!.teachers).toBeUndefined();
  });

  it('belongs to what a resumed run is made from, and resumes bit for bit', async () => {
    const { config } = await run('whole', { secondTeacher: OTHER });
    const abort = new AbortController();
    const onStep = ({ step }: { step: number }) => step === 2 && abort.abort();
    await run('part', { secondTeacher: OTHER, signal: abort.signal, onStep });
    const changed = { secondTeacher: teacher((depth) => depth, 'b'), resume: true };
    await expect(run('part', changed)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/labels \('second teacher: .*0-a\.png.* was "a", is "b"\)/),
    });
    const { config: part } = await run('part', { secondTeacher: OTHER, resume: true });
    const state = (out: string) =>
      readFileSync(join(checkpointFolder(out, 4), 'trainer/state.safetensors'));
    expect(state(part.out).equals(state(config.out))).toBe(true);
  });

  it('says nothing to an arm without 3D tasks', () => {
    const input = { secondTeacher: { name: 'second' }, arm: 'distill' as const };
    expect(() => toyConfig(folder, 'distill', input)).toThrow(/secondTeacher/);
  });
});
