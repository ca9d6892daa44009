import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  float32Source,
  openWeights,
  type SafetensorsDType,
  writeSafetensors,
} from '@spatialsv/core/kit';
import { expectAllclose, withTemporaryFolder } from '@spatialsv/core/testing';
import { goldenPixels } from './__fixtures__/filled-model.js';
import { writeTinyVggt } from './tiny-weights.js';
import { VggtModel } from './vggt-model.js';
import { prepareImages } from './vggt-preprocess.js';

const SIZE = { views: 2, height: 28, width: 42 };
const pixels = goldenPixels(2, 28, 42);

let folder: string;
let model: VggtModel;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'vggt-model-'));
  await writeTinyVggt({ folder, seed: 5 });
  model = await VggtModel.open(folder);
});

afterAll(async () => {
  await model.dispose();
  await rm(folder, { recursive: true });
});

describe('VggtModel', () => {
  it('runs what is asked for and nothing else', async () => {
    const all = await model.predictPixels(pixels, SIZE);
    const cameras = await model.predictPixels(pixels, SIZE, { heads: [], features: false });
    expect(Object.keys(cameras).sort()).toEqual(
      ['extrinsics', 'height', 'intrinsics', 'pose', 'views', 'width'].sort(),
    );
    expect(cameras.pose).toEqual(all.pose);
    const depth = await model.predictPixels(pixels, SIZE, { heads: ['depth'] });
    expect(depth).not.toHaveProperty('points');
    expect(depth.depth).toEqual(all.depth);
    expect(all.features).toMatchObject({ h: 2, w: 3, channels: 64 });
  });

  it('takes images of 8 bits', async () => {
    const data = Uint8Array.from({ length: 56 * 56 * 3 }, (_, i) => (i * 37) % 256);
    const image = { data, height: 56, width: 56 };
    const images = prepareImages([image], { mode: 'crop', resolution: 56, patchSize: 14 });
    const floats = Float32Array.from(data, (value) => value / 255);
    const size = { views: 1, height: 56, width: 56 };
    expect(await model.predict(images)).toEqual(await model.predictPixels(floats, size));
  });

  it('tells the first view from the others, and the order of the others not', async () => {
    const [first, second] = [
      pixels.subarray(0, pixels.length / 2),
      pixels.subarray(pixels.length / 2),
    ];
    const three = { ...SIZE, views: 3 };
    const predict = (views: Float32Array[]) =>
      model.predictPixels(Float32Array.from(views.flatMap((view) => [...view])), three, {
        heads: [],
      });
    const third = first.map((value) => 1 - value);
    const straight = await predict([first, second, third]);
    const exchanged = await predict([first, third, second]);
    const pose = (all: Float32Array, view: number) => all.subarray(9 * view, 9 * view + 9);
    for (const [view, other] of [
      [0, 0],
      [1, 2],
      [2, 1],
    ] as const)
      expectAllclose(pose(exchanged.pose, other), pose(straight.pose, view), {
        rtol: 1e-5,
        atol: 1e-6,
      });
    const started = await predict([second, first, third]);
    const differences = pose(started.pose, 1).map((value, i) =>
      Math.abs(value - straight.pose[i]!),
    );
    expect(Math.max(...differences)).toBeGreaterThan(1e-4);
  });

  it.each(['BF16', 'F16'] as const)('computes in float32 on weights stored as %s', (dtype) =>
    withTemporaryFolder(async (root) => {
      const stored = path.join(root, 'stored');
      const widened = path.join(root, 'widened');
      for (const target of [stored, widened]) await writeTinyVggt({ folder: target, seed: 5 });
      await rewrite(folder, stored, dtype);
      await rewrite(stored, widened, 'F32');
      const predictions = [];
      for (const source of [stored, widened]) {
        const opened = await VggtModel.open(source);
        predictions.push(await opened.predictPixels(pixels, SIZE));
        await opened.dispose();
      }
      const [narrow, wide] = predictions as [(typeof predictions)[0], (typeof predictions)[0]];
      expectAllclose(narrow!.depth!, wide!.depth!, { rtol: 1e-5 });
      expectAllclose(narrow!.features!.data, wide!.features!.data, { rtol: 1e-5, atol: 1e-5 });
    }),
  );

  it('stops at a signal before any work', async () => {
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(model.predictPixels(pixels, SIZE, { signal })).rejects.toThrow('enough');
  });
});

/** Writes the weights of `from` into `to`, rounded to a dtype. */
const rewrite = async (from: string, to: string, dtype: SafetensorsDType): Promise<void> => {
  const reader = await openWeights(from);
  const entries = reader.names.map(async (name) => {
    const values = await reader.readFloat32(name);
    return [name, float32Source(values, reader.info(name).shape, dtype)] as const;
  });
  await writeSafetensors(path.join(to, 'model.safetensors'), new Map(await Promise.all(entries)));
};
