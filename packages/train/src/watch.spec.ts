import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readDataset, readImage, readSpatialCheckpoint } from '@spatialsv/core';
import { liveHandles } from '@spatialsv/engine';
import { BackboneRunner } from '@spatialsv/eval';
import type { TrainConfigInput } from './config/schema.js';
import { readMetrics } from './run-folder/metrics-log.js';
import { openToyBackbone } from './testing/toy-backbone.js';
import { toySource } from './testing/toy-data.js';
import { TOY_HEADS, toyConfig, writeToyInputs } from './testing/toy-run.js';
import { train } from './train.js';
import type { WatchedLook } from './watch.js';

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'watch-'));
  await writeToyInputs(folder, 6);
});
afterAll(() => rmSync(folder, { recursive: true }));

const heads = { ...TOY_HEADS, tasks: ['depth', 'ray'] as ('depth' | 'ray')[] };

async function run(
  out: string,
  input: Partial<TrainConfigInput>,
  rest: { readonly resume?: boolean; readonly signal?: AbortSignal } = {},
) {
  const config = toyConfig(folder, out, { heads, ...input });
  const looks: WatchedLook[] = [];
  const result = await train(config, {
    ...{ backbone: await openToyBackbone(config.model), source: toySource, ...rest },
    onWatch: async (look) => void looks.push(look),
  });
  return { config, looks, ...result };
}

describe('watched samples', () => {
  it('that cannot be read are left out of a look, where broken samples are skipped', async () => {
    const broken = mkdtempSync(join(tmpdir(), 'watch-broken-'));
    await writeToyInputs(broken, 6);
    const watch = { every: 2, samples: 2 };
    const config = toyConfig(broken, 'run', { heads, watch, brokenSamples: 'skip' });
    const looks: WatchedLook[] = [];
    await train(config, {
      ...{ backbone: await openToyBackbone(config.model), source: toySource },
      onWatch: async (look) => {
        looks.push(look);
        // The second of the watched samples is gone from the first look on.
        for (const image of look.sample.images) rmSync(image);
      },
    }).finally(() => rmSync(broken, { recursive: true }));
    expect(new Set(looks.map(({ sample }) => sample.id)).size).toBeGreaterThan(0);
    expect(looks.filter(({ step }) => step > 0)).toEqual([]);
  });

  it('are seen before the first step, every so many, and after the last, as the checkpoint sees them', async () => {
    const { looks, checkpoint, config } = await run('run', { watch: { every: 3, samples: 2 } });
    expect(looks.map(({ step }) => step)).toEqual([0, 0, 3, 3, 4, 4]);
    const { sample, maps } = looks.at(-1)!;
    const backbone = await openToyBackbone(checkpoint);
    const runner = new BackboneRunner(backbone);
    const [same] = (await readDataset(config.data[0]!)).filter(({ id }) => id === sample.id);
    const images = await Promise.all(same!.images.map((image) => readImage(image)));
    const inputs = await backbone.prepare({ images, question: same!.question! });
    const expected = await runner.predictGeometry(
      inputs,
      (await readSpatialCheckpoint(checkpoint))!,
    );
    await runner.dispose();
    expect([maps.views, maps.height, maps.width]).toEqual([
      expected.views,
      expected.height,
      expected.width,
    ]);
    for (const name of ['depth', 'depthConfidence', 'rays'] as const) {
      const [found, wanted] = [maps[name] as Float32Array, expected[name]!];
      expect(found.length).toBe(wanted.length);
      const scale = Math.max(...wanted.map(Math.abs));
      for (const [i, value] of wanted.entries())
        expect(Math.abs(found[i]! - value) / scale).toBeLessThan(1e-4);
    }
    expect(looks[0]!.maps.depth).not.toEqual(looks.at(-2)!.maps.depth);
  });

  it('change nothing of what is learnt, and go on with a run that goes on', async () => {
    const alone = await run('alone', {});
    const watched = await run('watched', { watch: { every: 1, samples: 1 } });
    const losses = async ({ config }: { config: { out: string } }) =>
      (await readMetrics(config.out)).map((metrics) => metrics.losses);
    expect(await losses(watched)).toEqual(await losses(alone));
    expect(alone.looks).toEqual([]);
    const longer = { watch: { every: 1, samples: 1 }, schedule: { steps: 4, warmupRatio: 0 } };
    const again = await run('watched', longer, { resume: true });
    expect(again.looks).toEqual([]);
  });

  it('need heads that say something about depth; a run that cannot begin leaves nothing behind', async () => {
    const refused = () =>
      expect(run('text', { arm: 'text', watch: {} })).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
      });
    await refused();
    const before = liveHandles();
    await refused();
    expect(liveHandles()).toBe(before);
  });
});
