import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LabellerV1, SpatialError } from '@spatialsv/core';
import { checkpointFolder, listCheckpoints } from './checkpoint/checkpoint.js';
import type { TrainConfigInput } from './config/schema.js';
import { readMetrics } from './run-folder/metrics-log.js';
import { readSkips, SKIPPED_FILE } from './run-folder/skipped.js';
import { openToyBackbone } from './testing/toy-backbone.js';
import { toySource } from './testing/toy-data.js';
import { toyConfig, writeToyInputs } from './testing/toy-run.js';
import { type TrainOptions, train } from './train.js';

let folder: string;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'broken-'));
  await writeToyInputs(folder);
});
afterEach(() => rmSync(folder, { recursive: true }));

/** One sample a step, two epochs: a sample is met at one of the steps 1 to 6 and at one of 7 to 12. */
const configure = (out: string, input: Partial<TrainConfigInput> = {}) =>
  toyConfig(folder, out, {
    ...{ batchSize: 2, brokenSamples: 'skip', checkpointEvery: 1, keepCheckpoints: 9 },
    ...{ schedule: { steps: 6, warmupRatio: 0 }, prepareAhead: 1 },
    ...input,
  });

async function run(config: ReturnType<typeof configure>, options: Partial<TrainOptions> = {}) {
  const backbone = await openToyBackbone(config.model);
  return train(config, { backbone, source: toySource, ...options });
}

const state = (out: string, step: number) =>
  readFileSync(join(checkpointFolder(out, step), 'trainer/state.safetensors'));

const image = (index: number) => join(folder, `${index}-a.png`);

/** Labels of a store from which those of one sample have gone. */
const withoutLabels = (index: number): LabellerV1 => ({
  ...toySource,
  doLabel: async (request) => {
    if (request.images[0] !== image(index)) return toySource.doLabel(request);
    const message = `no labels of ${request.images.join(', ')}`;
    throw new SpatialError({ code: 'DATA_INVALID', message, hint: 'Label them.' });
  },
});

describe('samples that cannot be read', () => {
  it('are left out, counted and named, and the run ends as one that was stopped and resumed', async () => {
    rmSync(image(2));
    const source = withoutLabels(4);
    const straight = configure('straight');
    const told: string[] = [];
    await run(straight, { source, onSkip: ({ sample }) => told.push(sample) });
    const metrics = await readMetrics(straight.out);
    expect(metrics).toHaveLength(6);
    expect(metrics.reduce((sum, { skipped = 0 }) => sum + skipped, 0)).toBe(4);
    expect(told.toSorted()).toEqual(['q2', 'q2', 'q4', 'q4']);
    const skips = [...(await readSkips(straight.out)).values()];
    expect(skips.map(({ sample }) => sample).toSorted()).toEqual(['q2', 'q2', 'q4', 'q4']);
    expect(skips.find(({ sample }) => sample === 'q2')).toMatchObject({ code: 'FILE_MISSING' });
    expect(skips.find(({ sample }) => sample === 'q4')!.message).toContain('no labels of');

    const stopped = configure('stopped');
    const abort = new AbortController();
    const onStep = ({ step }: { step: number }) => step === 3 && abort.abort();
    await run(stopped, { source, signal: abort.signal, onStep });
    await run(stopped, { source, resume: true });
    expect(state(stopped.out, 6).equals(state(straight.out, 6))).toBe(true);
    expect((await readSkips(stopped.out)).size).toBe(4);
  });

  it('weigh nothing: the others are a smaller batch, norm and clipping included', async () => {
    const of = (limit: number) => [{ path: join(folder, 'data.jsonl'), limit }];
    const step = { schedule: { steps: 1, warmupRatio: 0 } };
    const alone = configure('alone', { ...step, data: of(1), batchSize: 1 });
    await run(alone);
    rmSync(image(1));
    const beside = configure('beside', { ...step, data: of(2) });
    await run(beside);
    const [[one], [two]] = [await readMetrics(alone.out), await readMetrics(beside.out)];
    expect(two).toMatchObject({ losses: one!.losses, gradientNorm: one!.gradientNorm, skipped: 1 });
    // Clipped: a norm of another batch would scale the step.
    expect(one!.gradientNorm).toBeGreaterThan(1);
    expect(state(beside.out, 1).equals(state(alone.out, 1))).toBe(true);
  });

  it('that go in the middle stay left out when they are back', async () => {
    const config = configure('run');
    const kept = join(folder, 'kept.png');
    const onStep = ({ step }: { step: number }) => step === 2 && renameSync(image(0), kept);
    await run(config, { onStep });
    const skips = await readSkips(config.out);
    expect(skips.size).toBeGreaterThan(0);

    // Killed after the second step: later checkpoints are not there.
    const killed = { ...config, out: join(folder, 'killed') };
    cpSync(config.out, killed.out, { recursive: true });
    for (const step of [3, 4, 5, 6])
      rmSync(checkpointFolder(killed.out, step), { recursive: true });
    const written = readFileSync(join(config.out, 'config.yaml'), 'utf8');
    writeFileSync(join(killed.out, 'config.yaml'), written.replaceAll(config.out, killed.out));
    renameSync(kept, image(0));
    await run(killed, { resume: true });
    expect(state(killed.out, 6).equals(state(config.out, 6))).toBe(true);
    const lines = readFileSync(join(killed.out, SKIPPED_FILE), 'utf8').trim().split('\n');
    expect(lines).toHaveLength(skips.size);
  });

  it('end the run where a step has no other', async () => {
    const config = configure('empty');
    const onStep = ({ step }: { step: number }) => {
      if (step === 1) for (let index = 0; index < 6; index++) rmSync(image(index), { force: true });
    };
    const error = await run(config, { onStep }).catch((caught: unknown) => caught as SpatialError);
    expect(error).toMatchObject({
      code: 'DATA_INVALID',
      message: expect.stringMatching(/step \d: none of its samples could be read.*is saved/),
      hint: expect.stringContaining(SKIPPED_FILE),
    });
    expect((await listCheckpoints(config.out)).length).toBeGreaterThan(0);
  });

  it('end the run unless they are to be skipped, with sample and file', async () => {
    const config = configure('stop', { brokenSamples: 'stop' });
    const failing = run(config, { source: withoutLabels(5) });
    await expect(failing).rejects.toMatchObject({
      code: 'DATA_INVALID',
      message: expect.stringMatching(/sample 'q5': no labels of .*5-a\.png/),
    });
    expect(existsSync(join(config.out, SKIPPED_FILE))).toBe(false);
    // It goes on without them.
    const skipping = configure('stop');
    await run(skipping, { source: withoutLabels(5), resume: true });
    expect((await readSkips(skipping.out)).size).toBeGreaterThan(0);
  });

  it('of the held-out samples are left out and counted too', async () => {
    rmSync(image(1));
    const data = [{ path: join(folder, 'data.jsonl'), limit: 2 }];
    const config = configure('held-out', { schedule: { steps: 1 }, evaluation: { data } });
    await run(config);
    expect((await readMetrics(config.out))[0]!.heldOut).toMatchObject({ samples: 1, skipped: 1 });
  });
});
