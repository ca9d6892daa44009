import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createRandom } from '@spatialsv/core';
import { expectAllclose, withTemporaryFolder } from '@spatialsv/core/testing';
import { compile, float32, ProgramCache, type Tensor, tf } from '@spatialsv/engine';
import { writeToyDataset } from '../testing/toy-data.js';
import { cellsOfPatches, pixelsOfCells } from './cell-states.js';
import { countMatches, noMatches } from './correspondence.js';
import { channelStatistics } from './feature-sources.js';
import { FeatureStore } from './feature-store.js';
import { ImageFiles } from './image-files.js';
import type { ProbeModel } from './probe-model.js';
import { parseSites } from './site-list.js';
import { ProbeOptimizers, trainProbe } from './train-probe.js';
import { type ProbeSet, scenesOf, splitByScene } from './view-sets.js';

describe('a list of sites', () => {
  const depths = { layers: 4, visionBlocks: 2 };

  it('gives numbers to the kind before them, and all of a kind', () => {
    expect(parseSites('vision:all,projector,layer:1,3, final', depths)).toEqual([
      ...['vision:0', 'vision:1', 'vision:2', 'projector', 'layer:1', 'layer:3', 'final'],
    ]);
    expect(parseSites('layer:all,layer:2', depths)).toEqual(['layer:1', 'layer:2', 'layer:3']);
  });

  it.each([
    'layers:1',
    '3',
    'projector,2',
    '',
    'vision',
    'layer:4',
    'layer:0',
    'vision:3',
    'layer:',
  ])('is refused: %j', (list) => {
    expect(() => parseSites(list, depths)).toThrow(/--sites|tap/);
  });
});

const setOf = (id: string, folder: string, ...hashes: string[]): ProbeSet => ({
  id,
  hashes,
  images: hashes.map((hash) => `${folder}/${hash}.png`),
});

describe('scenes', () => {
  it('are sets that share images, directly or through others', () => {
    const sets = [
      setOf('a', '/x', '1', '2'),
      setOf('b', '/x', '3'),
      setOf('c', '/x', '2', '4'),
      setOf('d', '/x', '4', '5'),
    ];
    expect(scenesOf(sets)).toEqual([0, 1, 0, 0]);
  });

  it('are folders too, unless there is one for everything', () => {
    const sets = [setOf('a', '/x', '1'), setOf('b', '/x', '2'), setOf('c', '/y', '3')];
    expect(scenesOf(sets)).toEqual([0, 0, 2]);
    expect(scenesOf(sets.slice(0, 2))).toEqual([0, 1]);
  });

  it('are held out as a whole, by seed', () => {
    const sets = Array.from({ length: 20 }, (_, i) => setOf(`${i}`, `/${i >> 1}`, `${i}`));
    const splits = [0, 1, 2].map((seed) => splitByScene(sets, 0.3, seed));
    for (const { train, heldOut, scenes } of splits) {
      expect(scenes).toEqual({ train: 7, heldOut: 3 });
      const folders = (part: readonly ProbeSet[]) =>
        new Set(part.map(({ images }) => images[0]!.split('/')[1]));
      expect([...folders(train)].filter((folder) => folders(heldOut).has(folder))).toEqual([]);
      expect(train.length + heldOut.length).toBe(20);
    }
    expect(splitByScene(sets, 0.3, 1)).toEqual(splits[1]);
    expect(splits[0]!.heldOut).not.toEqual(splits[1]!.heldOut);
  });

  it('need to be two', () => {
    expect(() => splitByScene([setOf('a', '/x', '1')], 0.5, 0)).toThrow(/at least two scenes/);
  });
});

const IDENTITY = { weights: 'w', prompt: 'p', settings: {}, storedAs: 'float16' } as const;
const LAYOUT = [
  { h: 1, w: 2, covered: { x0: 0, y0: 0, x1: 8, y1: 4 }, image: { height: 4, width: 8 } },
];

describe('a feature store', () => {
  it('keeps features of each model apart, and says what is missing', () =>
    withTemporaryFolder(async (folder) => {
      const store = await FeatureStore.open(folder, IDENTITY);
      const data = createRandom(1).normals(2 * 3);
      expect(await store.missing('s', ['final', 'pixels'])).toEqual(['final', 'pixels']);
      await store.write('s', LAYOUT, new Map([['final', [{ data, channels: 3 }]]]));
      const again = await FeatureStore.open(folder, IDENTITY);
      expect(await again.missing('s', ['final', 'layer:1'])).toEqual(['layer:1']);
      expect(await again.layout('s')).toEqual(LAYOUT);
      const [view] = await again.read('s', 'final');
      expect(view!.channels).toBe(3);
      expectAllclose(view!.data, data, { rtol: 1e-3, atol: 1e-3 });
      const other = await FeatureStore.open(folder, { ...IDENTITY, weights: 'x' });
      expect(await other.missing('s', ['final'])).toEqual(['final']);
      expect(readdirSync(folder)).toHaveLength(2);
    }));

  it('keeps float32 exactly, and in float16 what does not fit into it', () =>
    withTemporaryFolder(async (folder) => {
      const data = Float32Array.of(1 / 3, 1e6, -2, 0.1);
      for (const storedAs of ['float32', 'float16'] as const) {
        const store = await FeatureStore.open(folder, { ...IDENTITY, storedAs });
        await store.write('s', LAYOUT, new Map([['final', [{ data, channels: 2 }]]]));
        expect((await store.read('s', 'final'))[0]!.data).toEqual(data);
      }
    }));

  it('takes a set whose writing was cut off as missing', () =>
    withTemporaryFolder(async (folder) => {
      const store = await FeatureStore.open(folder, IDENTITY);
      const features = new Map([
        ['final' as const, [{ data: new Float32Array(6).fill(1), channels: 3 }]],
      ]);
      await store.write('s', LAYOUT, features);
      rmSync(join(store.folder, 's', 'layout.json'));
      const again = await FeatureStore.open(folder, IDENTITY);
      expect(await again.missing('s', ['final'])).toEqual(['final']);
      await expect(again.layout('s')).rejects.toThrow(/gone/);
    }));

  it('refuses states that are no numbers', () =>
    withTemporaryFolder(async (folder) => {
      const store = await FeatureStore.open(folder, IDENTITY);
      const data = Float32Array.of(1, Number.NaN);
      const write = store.write('s', LAYOUT, new Map([['layer:2', [{ data, channels: 1 }]]]));
      await expect(write).rejects.toThrow(/layer:2 of view 1: found .*NaN/);
    }));
});

describe('cells', () => {
  it('hold the channels of their patches side by side', () => {
    // A grid of 1 × 2 cells of 2 × 2 patches.
    const patches = { data: Float32Array.of(0, 1, 2, 3, 4, 5, 6, 7), shape: [8, 1] };
    const { data, channels } = cellsOfPatches(patches, { h: 1, w: 2 });
    expect(channels).toBe(4);
    expect([...data]).toEqual([0, 1, 4, 5, 2, 3, 6, 7]);
    expect(cellsOfPatches(patches, { h: 2, w: 4 }).channels).toBe(1);
  });

  it('are means of patches that do not divide so', () => {
    const data = Float32Array.from({ length: 9 }, (_, i) => i);
    const cells = cellsOfPatches({ data, shape: [9, 1] }, { h: 1, w: 1 });
    expect(cells).toEqual({ data, channels: 9 });
    const halves = cellsOfPatches({ data: data.slice(0, 6), shape: [6, 1] }, { h: 2, w: 2 });
    expect(halves.channels).toBe(1);
    expect(halves.data).toHaveLength(4);
  });

  it('hold their own pixels', () => {
    const width = 32;
    const image = {
      height: 16,
      width,
      data: Uint8Array.from({ length: 16 * width * 3 }, (_, i) =>
        Math.floor(i / 3) % width < 16 ? 0 : 255,
      ),
    };
    const whole = { x0: 0, y0: 0, x1: width, y1: 16 };
    const { data, channels } = pixelsOfCells(image, { h: 1, w: 2, covered: whole, image });
    expect(channels).toBe(192);
    expect(new Set(data.slice(0, 192))).toEqual(new Set([0]));
    expect(new Set(data.slice(192))).toEqual(new Set([1]));
    const right = { ...whole, x0: 16 };
    expect(new Set(pixelsOfCells(image, { h: 1, w: 1, covered: right, image }).data)).toEqual(
      new Set([1]),
    );
  });
});

it('statistics of channels are those of the cells, and a channel that never changes says nothing', async () => {
  const data = Float32Array.of(1, 5, 3, 5, 8, 5);
  const source = { read: async () => [{ data, channels: 2 }] };
  const { mean, inverse } = await channelStatistics(source, [setOf('a', '/x', '1')]);
  expect(mean[0]).toBeCloseTo(4, 6);
  expect(inverse[0]).toBeCloseTo(1 / Math.sqrt(26 / 3), 6);
  expect([mean[1], inverse[1]]).toEqual([5, 0]);
});

it('of equally similar cells the first is the nearest', () => {
  const counts = noMatches();
  const matches = {
    cells: Int32Array.of(0, 1),
    targets: Int32Array.of(0, 3),
    places: Float64Array.of(0.5, 0.5, 1.5, 1.5),
  };
  countMatches(counts, new Float32Array(16), matches, { h: 2, w: 2 });
  expect(counts).toEqual({ matches: 2, recall1: 1, recall5: 2, pck10: 1, pck20: 1 });
});

it('an image file is read once, as long as there is room for it', () =>
  withTemporaryFolder(async (folder) => {
    await writeToyDataset(folder, 2);
    const paths = ['0-a.png', '0-b.png', '1-a.png'].map((name) => join(folder, name));
    const [roomy, tight] = [new ImageFiles(), new ImageFiles(readFileSync(paths[0]!).length + 10)];
    for (const files of [roomy, tight]) {
      for (const path of [...paths, ...paths]) await files.hash(path);
      for (const path of paths) expect(await files.decode(path)).toMatchObject({ height: 8 });
    }
    expect(roomy.reads).toBe(3);
    expect(tight.reads).toBeGreaterThan(3);
  }));

describe('training a probe', () => {
  const loss = (value: number) =>
    ({
      shapes: { 'map.weight': [2, 3] },
      scale: { mean: new Float32Array(3), inverse: new Float32Array(3) },
      batches: async () => [{ key: 'k', inputs: {}, count: 4 }],
      compileStep: () =>
        compile(
          ({ accumulators, parameters }: Record<string, Record<string, Tensor>>) => ({
            accumulators: { 'map.weight': tf.add(accumulators!['map.weight']!, 1) },
            loss: tf.mul(tf.sum(tf.square(parameters!['map.weight']!)), value),
          }),
          {
            parameters: { 'map.weight': float32(2, 3) },
            accumulators: { 'map.weight': float32(2, 3) },
            scale: { mean: float32(3), inverse: float32(3) },
          } as never,
          { state: ['accumulators'] },
        ),
      measure: async () => ({ loss: 2, count: 1, metrics: { rmse: 1 } }),
    }) as ProbeModel;

  const train = async (value: number, steps = 6, signal?: AbortSignal) => {
    const programs = new ProgramCache(4);
    const optimizers = new ProbeOptimizers('cpu');
    const sets = [setOf('a', '/x', '1')];
    const split = { train: sets, heldOut: sets, scenes: { train: 1, heldOut: 1 } };
    const training = { steps, batchSize: 2, learningRate: 1e-3 };
    const request = { model: loss(value), split, training, seed: 0, programs, optimizers, signal };
    try {
      return await trainProbe(request);
    } finally {
      await programs.dispose();
      await optimizers.dispose();
    }
  };

  it('draws a learning curve that ends with the last step', async () => {
    const { curve, metrics } = await train(1, 12);
    expect(curve.map(({ step }) => step)).toEqual([2, 4, 6, 8, 10, 12]);
    expect(curve.every(({ heldOutLoss }) => heldOutLoss === 2)).toBe(true);
    expect(metrics).toEqual({ rmse: 1 });
  });

  it('ends at a loss that is no number', async () => {
    await expect(train(Number.POSITIVE_INFINITY)).rejects.toThrow(
      /step 1 of a probe: expected a finite loss/,
    );
  });

  it('stops when it is told to', async () => {
    await expect(train(1, 4, AbortSignal.abort())).rejects.toThrow(/abort/i);
  });
});
