import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { copySource, openWeights, saveWeights } from '@spatialsv/core/kit';
import type { BackboneAdapterV1, BackboneV1, RgbImage } from '@spatialsv/core/spec';
import { llavaNextVideo } from './next-video/adapter.js';
import { writeTinyNextVideo } from './next-video/tiny-checkpoint.js';
import { llavaNextVideoSiglip } from './next-video-siglip/adapter.js';
import { writeTinyNextVideoSiglip } from './next-video-siglip/tiny-checkpoint.js';
import type { NextVideoTinyOptions } from './shared/tiny-tower.js';

type Change = Record<string, unknown>;

interface Family {
  readonly adapter: BackboneAdapterV1;
  readonly writeTiny: (options: NextVideoTinyOptions) => Promise<void>;
  /** config.json with changed fields of the decoder. */
  readonly decoder: (config: Change, change: Change) => Change;
  /** Prefix of the decoder's tensors. */
  readonly model: string;
  readonly table: string;
  readonly placeholder: string;
}

const FAMILIES: Readonly<Record<string, Family>> = {
  'llava-next-video': {
    adapter: llavaNextVideo,
    writeTiny: writeTinyNextVideo,
    decoder: (config, change) => ({
      ...config,
      text_config: { ...(config['text_config'] as object), ...change },
    }),
    model: 'language_model.model',
    table: 'language_model.model.embed_tokens.weight',
    placeholder: '<video>',
  },
  'llava-next-video-siglip': {
    adapter: llavaNextVideoSiglip,
    writeTiny: writeTinyNextVideoSiglip,
    decoder: (config, change) => ({ ...config, ...change }),
    model: 'model',
    table: 'model.embed_tokens.weight',
    placeholder: '<image>',
  },
};

const grey = (width: number, height: number): RgbImage => ({
  data: new Uint8Array(3 * width * height).fill(90),
  width,
  height,
  path: 'strip.png',
});

describe.each(Object.entries(FAMILIES))('%s', (name, family) => {
  const { adapter } = family;
  let root: string;
  let folder: string;
  let model: BackboneV1;
  let copies = 0;

  beforeAll(async () => {
    root = await mkdtemp(path.join(tmpdir(), 'llava-bad-'));
    folder = path.join(root, 'tiny');
    const vision = { depth: 3, hiddenSize: 32, heads: 2 };
    await family.writeTiny({ folder, seed: 1, hiddenSize: 32, layers: 2, vision });
    model = await adapter.open(folder);
  });

  afterAll(() => rm(root, { recursive: true }));

  const copyWith = async (change: (config: Change) => Change) => {
    const target = path.join(root, `copy-${++copies}`);
    await model.save(target, new Map());
    const file = path.join(target, 'config.json');
    await writeFile(file, JSON.stringify(change(JSON.parse(await readFile(file, 'utf8')))));
    return target;
  };

  const refuses = async (target: string, code: string, ...named: readonly string[]) => {
    const error = await adapter.open(target).then(
      () => undefined,
      (cause: unknown) => cause as { code: string; message: string },
    );
    expect(error?.code).toBe(code);
    for (const part of named) expect(error?.message).toContain(part);
  };

  it('refuses sizes that the weights do not have, naming the tensor', async () => {
    const { decoder, model: scope, table } = family;
    const deeper = await copyWith((config) => decoder(config, { num_hidden_layers: 3 }));
    await refuses(deeper, 'WEIGHT_MISSING', `${scope}.layers.2.`);
    const shallower = await copyWith((config) => decoder(config, { num_hidden_layers: 1 }));
    await refuses(shallower, 'WEIGHT_UNEXPECTED', `${scope}.layers.1.`);
    const wider = await copyWith((config) => decoder(config, { hidden_size: 64 }));
    await refuses(wider, 'SHAPE_MISMATCH', 'expected (');
    const words = await copyWith((config) => decoder(config, { vocab_size: 512 }));
    await refuses(words, 'SHAPE_MISMATCH', table, '(512, 32)');
  });

  it('refuses unknown and ill-typed sizes, naming the field', async () => {
    const odd = await copyWith((config) => family.decoder(config, { num_attention_heads: 5 }));
    await refuses(odd, 'CONFIG_INVALID', 'config.json', 'num_attention_heads');
    const text = await copyWith((config) => family.decoder(config, { hidden_size: '32' }));
    await refuses(text, 'CONFIG_INVALID', 'hidden_size', 'a positive number');
  });

  it('refuses a missing shard, naming the file', async () => {
    const target = await copyWith((config) => config);
    const reader = await openWeights(target);
    const shardOf = (tensor: string) =>
      `model-0000${tensor.length % 2 === 0 ? 1 : 2}-of-00002.safetensors`;
    const map = new Map(reader.names.map((tensor) => [tensor, shardOf(tensor)]));
    const split = await copyWith((config) => config);
    await rm(path.join(split, 'model.safetensors'));
    const tensors = reader.names.map((tensor) => [tensor, copySource(reader, tensor)] as const);
    await saveWeights(split, new Map(tensors), map);
    await adapter.open(split);
    await rm(path.join(split, 'model-00002-of-00002.safetensors'));
    await refuses(split, 'FILE_MISSING', 'model-00002-of-00002.safetensors');
  });

  it('refuses the checkpoint of another family, naming the field', async () => {
    const other = await copyWith(() => ({ model_type: 'qwen2_5_vl', hidden_size: 32 }));
    await refuses(other, 'CONFIG_INVALID', 'config.json.model_type', 'qwen2_5_vl');
  });

  it('refuses an image that is a line, naming its size', async () => {
    const prepared = model.prepare({ images: [grey(1, 4000)], question: 'x' });
    await expect(prepared).rejects.toMatchObject({
      code: 'IMAGE_INVALID',
      message: expect.stringContaining('1×4000'),
    });
    expect(() => model.requireImageSize!(grey(1, 4000))).toThrow('1×4000');
    expect(() => model.requireImageSize!(grey(20, 4000))).not.toThrow();
  });

  it('refuses texts that a view would be taken for', async () => {
    const { placeholder } = family;
    const prepared = model.prepare({ images: [grey(30, 20)], question: `a ${placeholder}` });
    await expect(prepared).rejects.toMatchObject({
      code: 'DATA_INVALID',
      message: expect.stringContaining(placeholder),
    });
  });

  it('refuses unknown settings and a pixel budget, naming them', async () => {
    const opened = adapter.open(folder, { settings: { maxTiles: 1 } });
    await expect(opened).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('maxTiles'),
    });
    await expect(adapter.open(folder, { maxPixels: 5000 })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(name),
    });
  });

  it('refuses tiny sizes that do not fit together', async () => {
    const bad = family.writeTiny({ folder: '/nowhere', seed: 1, hiddenSize: 100, heads: 8 });
    await expect(bad).rejects.toMatchObject({ code: 'USAGE' });
    const unknown = family.writeTiny({ folder: '/nowhere', seed: 1, settings: { maxTiles: 1 } });
    await expect(unknown).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });
});
