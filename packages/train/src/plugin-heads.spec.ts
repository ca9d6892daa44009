import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createRandom,
  createRegistry,
  definePlugin,
  type GeometryHeadModelV1,
  type GeometryHeadV1,
  loadPlugins,
  ops,
  readSpatialCheckpoint,
  SpatialError,
  tf,
} from '@spatialsv/core';
import { BackboneRunner } from '@spatialsv/eval';
import { type TrainConfigInput, trainConfigSchema } from './config/schema.js';
import { readMetrics } from './run-folder/metrics-log.js';
import { openToyBackbone, writeToyCheckpoint } from './testing/toy-backbone.js';
import { toySource, writeToyDataset } from './testing/toy-data.js';
import { ONE_SCALE } from './testing/toy-run.js';
import { train } from './train.js';

const WEIGHT = 'spatial.linear.weight';

/** Depth as a linear function of the last tap, enlarged bilinearly. */
const configure = (options: unknown): GeometryHeadModelV1 => {
  const { scale = 1, ...unknown } = options as { readonly scale?: number };
  if (Object.keys(unknown).length > 0)
    throw new SpatialError({ code: 'CONFIG_INVALID', message: 'unknown key', hint: 'Remove it.' });
  return {
    headId: 'linear',
    options: { scale },
    tasks: ['depth'],
    tapCount: 1,
    outputSize: ({ h, w }) => ({ height: scale * h, width: scale * w }),
    initialise: (channels, seed) => {
      const width = channels.at(-1)!;
      return { [WEIGHT]: { data: createRandom(seed).normals(2 * width, 0.1), shape: [2, width] } };
    },
    doPredict: (parameters, taps, { height, width }) => {
      const cells = ops.linear(taps.at(-1)!, parameters[WEIGHT]!);
      const maps = tf.image.resizeBilinear(cells as tf.Tensor4D, [height, width]);
      const [depth, logit] = tf.unstack(maps, 3);
      return { depth: tf.exp(depth!), depthConfidence: tf.add(tf.exp(logit!), 1) };
    },
  };
};

const linear: GeometryHeadV1 = {
  specificationVersion: 'v1',
  kind: 'geometry-head',
  id: 'linear',
  predicts: ['depth'],
  configure,
};

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'plugin-heads-'));
  mkdirSync(join(folder, 'model'));
  await writeToyCheckpoint(join(folder, 'model'), 1);
  await writeToyDataset(folder, 4);
});
afterAll(() => rmSync(folder, { recursive: true }));

const makeConfig = (heads: TrainConfigInput['heads'], layers: TrainConfigInput['layers'] = [2]) =>
  trainConfigSchema.parse({
    model: join(folder, 'model'),
    data: [{ path: join(folder, 'data.jsonl') }],
    source: 'toy',
    heads,
    layers,
    losses: ONE_SCALE,
    out: join(folder, 'run'),
    batchSize: 1,
    schedule: { steps: 2, warmupRatio: 0 },
    optimizer: { learningRates: { languageModel: 1e-2, projector: 1e-2, spatial: 1e-2 } },
  });

async function findHeads() {
  const contributions = () => [linear];
  const plugin = definePlugin({ specificationVersion: 'v1', contributions });
  const builtIn = [{ name: 'linear-heads', plugin }];
  return createRegistry(await loadPlugins({ builtIn })).resolveGeometryHead;
}

describe('heads of a plugin', () => {
  it('train, are stored with their options, and are read back and run', async () => {
    const findHead = await findHeads();
    const backbone = await openToyBackbone(join(folder, 'model'));
    const config = makeConfig({ type: 'linear', scale: 3 });
    const { checkpoint } = await train(config, { backbone, source: toySource, findHead });
    const metrics = await readMetrics(config.out);
    expect(metrics.map(({ losses }) => [losses.depth !== null, losses.ray])).toEqual([
      [true, null],
      [true, null],
    ]);
    const settings = readFileSync(join(checkpoint, 'spatialsv/settings.json'), 'utf8');
    expect(JSON.parse(settings)).toMatchObject({ head: 'linear', heads: { scale: 3 } });

    const heads = (await readSpatialCheckpoint(checkpoint, findHead))!;
    const fresh = heads.heads.initialise([16], config.seed)[WEIGHT]!;
    expect(heads.parameters[WEIGHT]!.data).not.toEqual(fresh.data);
    const runner = new BackboneRunner(await openToyBackbone(checkpoint));
    const image = { data: new Uint8Array(8 * 8 * 3).fill(90), height: 8, width: 8 };
    const inputs = await runner.backbone.prepare({ images: [image], question: 'where' });
    const maps = await runner.predictGeometry(inputs, heads);
    await runner.dispose();
    expect(maps).toMatchObject({ views: 1, height: 6, width: 6 });
    expect(maps.depth!.length).toBe(36);
    expect(maps.depth!.every((depth) => depth > 0)).toBe(true);
    expect(maps.rays).toBeUndefined();
  });

  it.each([
    ['CONFIG_INVALID', '[1, 2]', [1, 2], 'Name 1 layer under `layers`'],
    ['TAP_UNKNOWN', 'projector', ['projector'], ''],
  ])('are refused with %s, before anything is recorded, for taps %s', async (...row) => {
    const [code, told, taps, hint] = row;
    const findHead = await findHeads();
    const backbone = await openToyBackbone(join(folder, 'model'));
    const config = { ...makeConfig({ type: 'linear' }, taps), out: join(folder, 'taps') };
    await expect(train(config, { backbone, source: toySource, findHead })).rejects.toMatchObject({
      code,
      message: expect.stringContaining(told),
      hint: expect.stringContaining(hint),
    });
    expect(existsSync(config.out)).toBe(false);
  });

  it.each([
    [0, 0],
    ['embedding', 0],
    ['final', 2],
  ])('read layer %p', async (tap, layer) => {
    const findHead = await findHeads();
    const backbone = await openToyBackbone(join(folder, 'model'));
    const out = join(folder, `tap-${tap}`);
    const config = { ...makeConfig({ type: 'linear' }, [tap]), out };
    const { checkpoint } = await train(config, { backbone, source: toySource, findHead });
    expect((await readSpatialCheckpoint(checkpoint, findHead))!.taps).toEqual([layer]);
  });

  it.each([
    ['PLUGIN_UNKNOWN', { type: 'linaer' }],
    ['CONFIG_INVALID', { type: 'linear', scales: 3 }],
  ])('are refused with %s: %j', async (code, heads) => {
    const findHead = await findHeads();
    const backbone = await openToyBackbone(join(folder, 'model'));
    const run = train(makeConfig(heads), { backbone, source: toySource, findHead });
    await expect(run).rejects.toMatchObject({ code });
  });
});
