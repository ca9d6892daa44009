import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BackboneV1, readImage, type SampleV1, writePng } from '@spatialsv/core';
import { openToyBackbone, writeToyCheckpoint } from '../testing/toy-backbone.js';
import { toySource } from '../testing/toy-data.js';
import { SampleInputsBuilder } from './sample-inputs.js';
import { VisionFeatures } from './vision-features.js';

const folder = mkdtempSync(join(tmpdir(), 'sample-inputs-'));
const image = join(folder, 'a.png');
const other = join(folder, 'b.png');
let backbone: BackboneV1;
let features: VisionFeatures;
const labelled: (readonly string[])[] = [];

/** An image of one grey. */
const paint = (path: string, grey: number) =>
  writePng(path, new Uint8Array(3 * 8 * 8).fill(grey), { height: 8, width: 8, channels: 3 });

beforeAll(async () => {
  await writeToyCheckpoint(folder, 1);
  backbone = await openToyBackbone(folder);
  const cache = join(folder, 'features');
  features = new VisionFeatures(backbone, { device: 'cpu', modelHash: '', folder: cache });
});
beforeEach(async () => {
  labelled.length = 0;
  await paint(image, 10);
  await paint(other, 200);
});
afterAll(async () => {
  await features.dispose();
  rmSync(folder, { recursive: true });
});

const source = {
  ...toySource,
  doLabel: (request: { readonly images: readonly string[] }) => {
    labelled.push(request.images);
    return toySource.doLabel(request);
  },
};

const newBuilder = () =>
  new SampleInputsBuilder({
    backbone,
    features,
    heads: { outputSize: () => ({ height: 4, width: 4 }), tasks: ['depth'] },
    distils: true,
    source,
  });

const sample = (change: Partial<SampleV1> = {}): SampleV1 => ({
  id: 'q0',
  images: [image],
  question: 'where',
  answer: 'left',
  ...change,
});

describe('samples with one id', () => {
  it('keep their own question and answer', async () => {
    const builder = newBuilder();
    await builder.build(sample());
    for (const change of [{ question: 'what' }, { answer: 'right' }]) {
      const { tensors, shape } = await builder.build(sample(change));
      const alone = await newBuilder().build(sample(change));
      expect(tensors).toEqual(alone.tensors);
      expect(shape).toEqual(alone.shape);
    }
  });

  it('keep their own images, also another number of them', async () => {
    const builder = newBuilder();
    await builder.build(sample());
    for (const images of [[other], [image, other]]) {
      const built = await builder.build(sample({ images }));
      expect(built.tensors).toEqual((await newBuilder().build(sample({ images }))).tensors);
    }
  });
});

describe('equal images', () => {
  it('are encoded once, wherever they lie', async () => {
    const copy = join(folder, 'copy.png');
    await paint(copy, 10);
    const encode = jest.spyOn(features, 'of');
    const builder = newBuilder();
    const first = await builder.build(sample());
    const copied = await builder.build(sample({ images: [copy] }));
    expect(encode).toHaveBeenCalledTimes(1);
    expect(copied.tensors).toEqual(first.tensors);
    encode.mockRestore();
  });
});

describe('an image that is replaced under its path', () => {
  it('is seen as it is now, and labelled again', async () => {
    const builder = newBuilder();
    const before = await builder.build(sample());
    await paint(image, 240);
    const after = await builder.build(sample());
    expect(after.tensors).not.toEqual(before.tensors);
    expect(after.tensors).toEqual((await newBuilder().build(sample())).tensors);
    expect(labelled.length).toBe(3);
  });

  it('is taken from the caches as long as it is the same', async () => {
    const builder = newBuilder();
    const prepare = jest.spyOn(backbone, 'prepare');
    const first = await builder.build(sample());
    expect((await builder.build(sample({ id: 'q9' }))).tensors).toEqual(first.tensors);
    expect(prepare).toHaveBeenCalledTimes(1);
    expect(labelled.length).toBe(1);
    prepare.mockRestore();
  });
});

describe('features on the disk', () => {
  it('are those of one model', async () => {
    const cache = join(folder, 'cache');
    const { images } = sample();
    const image = await readImage(images[0]!);
    const { views } = await backbone.prepare({ images: [image], question: 'where' });
    for (const modelHash of ['a', 'b', 'a']) {
      const ofModel = new VisionFeatures(backbone, { device: 'cpu', modelHash, folder: cache });
      await ofModel.of(views[0]!);
      await ofModel.dispose();
    }
    expect(readdirSync(cache)).toHaveLength(2);
  });
});

describe('features of the label source', () => {
  it('are those of the part that the backbone sees', async () => {
    const half = { x0: 4, y0: 0, x1: 8, y1: 4 };
    const cropping: BackboneV1 = {
      ...backbone,
      prepare: async (conversation) => {
        const inputs = await backbone.prepare(conversation);
        return { ...inputs, grids: inputs.grids.map((grid) => ({ ...grid, covered: half })) };
      },
    };
    const counted = {
      ...toySource,
      doLabel: async (request: { readonly images: readonly string[] }) => ({
        ...(await toySource.doLabel(request)),
        features: { data: Float32Array.from({ length: 16 }, (_, i) => i), h: 4, w: 4, channels: 1 },
      }),
    };
    const options = {
      features,
      heads: { outputSize: () => ({ height: 4, width: 4 }), tasks: [] },
      distils: true,
      source: counted,
    };
    const built = await new SampleInputsBuilder({ ...options, backbone: cropping }).build(sample());
    expect(built.tensors).toMatchObject({ distilled: Float32Array.of(2, 3, 6, 7) });
    const whole = await new SampleInputsBuilder({ ...options, backbone }).build(sample());
    expect(whole.tensors).toMatchObject({ distilled: Float32Array.of(2.5, 4.5, 10.5, 12.5) });
  });
});
