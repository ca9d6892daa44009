import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  decodeSequence,
  float32Source,
  inMemoryCellName,
  openWeights,
  type SafetensorsReader,
  saveWeights,
  type Tensor,
  type TensorSource,
  tf,
} from '@spatialsv/core/kit';
import { expectAllclose, readGolden, withTemporaryFolder } from '@spatialsv/core/testing';
import { GOLDEN } from './__fixtures__/golden.js';
import { qwen25Vl } from './plugin.js';

const SAVED = path.join(GOLDEN, 'saved-by-transformers');
const EMBEDDING = 'model.embed_tokens.weight';

/** A folder as transformers saves it (5.x configuration, bfloat16), with tokenizer files beside. */
const writeSavedFolder = async (folder: string, change: Record<string, unknown> = {}) => {
  await cp(path.join(GOLDEN, 'checkpoint'), folder, { recursive: true });
  await cp(path.join(SAVED, 'model.safetensors'), path.join(folder, 'model.safetensors'));
  const config = JSON.parse(await readFile(path.join(SAVED, 'config.json'), 'utf8'));
  await writeFile(path.join(folder, 'config.json'), JSON.stringify({ ...config, ...change }));
};

const copies = async (reader: SafetensorsReader) => {
  const entries = reader.names.map(async (name) => {
    const { dtype, shape } = reader.info(name);
    return [name, float32Source(await reader.readFloat32(name), shape, dtype)] as const;
  });
  return new Map<string, TensorSource>(await Promise.all(entries));
};

const rename = (tensors: ReadonlyMap<string, TensorSource>, to: (name: string) => string) =>
  new Map([...tensors].map(([name, source]) => [to(name), source]));

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe('a folder saved by transformers', () => {
  it('opens and gives the same logits', () =>
    withTemporaryFolder(async (folder) => {
      await writeSavedFolder(folder);
      const golden = await readGolden(SAVED);
      const model = await qwen25Vl.open(folder);
      const reader = await openWeights(folder);
      const weights: Record<string, Tensor> = {};
      for (const name of reader.names) {
        const shape = [...reader.info(name).shape];
        weights[name] = tf.tensor(await reader.readFloat32(name), shape);
      }
      const { inputIds } = golden.info as { inputIds: number[] };
      const { decoder } = model;
      const embeddings = decoder.embed(weights, tf.tensor1d(inputIds, 'int32'));
      const row = inputIds.map((_, i) => i);
      const positions = tf.tensor2d([row, row, row], [3, row.length], 'int32');
      const request = { taps: [], last: true };
      const { last } = decodeSequence(decoder, weights, { embeddings, positions }, request);
      const logits = decoder
        .logits(weights, last!)
        .dataSync<'float32'>()
        .slice(-4 * 320);
      expectAllclose(logits, golden.float32('logits'), { rtol: 1e-4, atol: 1e-5 });
    }));

  it('is saved again byte for byte, but for what was replaced', () =>
    withTemporaryFolder(async (folder) => {
      const source = path.join(folder, 'source');
      const target = path.join(folder, 'target');
      await writeSavedFolder(source);
      const model = await qwen25Vl.open(source);
      const replaced = new Float32Array(16).fill(1 / 3);
      await model.save(target, new Map([['model.norm.weight', replaced]]));
      expect((await readdir(target)).sort()).toEqual((await readdir(source)).sort());
      const [before, after] = [await openWeights(source), await openWeights(target)];
      expect(after.names).toEqual(before.names);
      for (const name of before.names) {
        expect(after.info(name).dtype).toBe('BF16');
        const same = Buffer.compare(await before.readRaw(name), await after.readRaw(name)) === 0;
        expect(same).toBe(name !== 'model.norm.weight');
      }
      expect((await after.readFloat32('model.norm.weight'))[0]).toBe(0.333984375);
      const text = (where: string) => readFile(path.join(where, 'config.json'), 'utf8');
      expect(await text(target)).toBe(await text(source));
    }));
});

describe('checkpoint names', () => {
  it('may be the in-memory ones, which are kept when saving', () =>
    withTemporaryFolder(async (folder) => {
      await writeSavedFolder(folder);
      await saveWeights(folder, rename(await copies(await openWeights(folder)), inMemoryCellName));
      const model = await qwen25Vl.open(folder);
      expect(Object.keys(model.weights)).toContain('model.layers.0.mlp.up_proj.weight');
      const target = path.join(folder, 'target');
      await model.save(target, new Map([['visual.merger.mlp.2.bias', new Float32Array(16)]]));
      const saved = await openWeights(target);
      expect(saved.names).toContain('model.language_model.layers.0.mlp.up_proj.weight');
      expect((await saved.readFloat32('model.visual.merger.mlp.2.bias'))[3]).toBe(0);
    }));

  it('may not be both at once', () =>
    withTemporaryFolder(async (folder) => {
      await writeSavedFolder(folder);
      const tensors = await copies(await openWeights(folder));
      await saveWeights(folder, new Map([...tensors, ...rename(tensors, inMemoryCellName)]));
      await expect(qwen25Vl.open(folder)).rejects.toMatchObject({ code: 'WEIGHT_UNEXPECTED' });
    }));

  it('with one misspelt are answered by the nearest', () =>
    withTemporaryFolder(async (folder) => {
      await writeSavedFolder(folder);
      const tensors = await copies(await openWeights(folder));
      const misspelt = (name: string) => name.replace('up_proj', 'up_porj');
      await saveWeights(folder, rename(tensors, misspelt));
      await expect(qwen25Vl.open(folder)).rejects.toMatchObject({
        code: 'WEIGHT_MISSING',
        message: expect.stringContaining('visual.blocks.0.mlp.up_proj.weight'),
        hint: expect.stringContaining('visual.blocks.0.mlp.up_porj.weight'),
      });
    }));

  it('may include buffers, which are left alone', () =>
    withTemporaryFolder(async (folder) => {
      await writeSavedFolder(folder);
      const tensors = await copies(await openWeights(folder));
      tensors.set('model.rotary_emb.inv_freq', float32Source(new Float32Array(4), [4]));
      await saveWeights(folder, tensors);
      expect(Object.keys((await qwen25Vl.open(folder)).weights)).toHaveLength(tensors.size - 1);
    }));
});

describe('the output matrix', () => {
  it('wins over a configuration that says tied when it has its own values', () =>
    withTemporaryFolder(async (folder) => {
      await writeSavedFolder(folder, { tie_word_embeddings: true });
      expect(Object.keys((await qwen25Vl.open(folder)).weights)).toContain('lm_head.weight');
    }));

  it('is tied when it repeats the embedding table, and follows it when saved', () =>
    withTemporaryFolder(async (folder) => {
      await writeSavedFolder(folder, { tie_word_embeddings: true });
      const tensors = await copies(await openWeights(folder));
      await saveWeights(folder, tensors.set('lm_head.weight', tensors.get(EMBEDDING)!));
      const model = await qwen25Vl.open(folder);
      expect(Object.keys(model.weights)).not.toContain('lm_head.weight');
      const target = path.join(folder, 'target');
      await model.save(target, new Map([[EMBEDDING, new Float32Array(320 * 16).fill(2)]]));
      expect((await (await openWeights(target)).readFloat32('lm_head.weight'))[7]).toBe(2);
    }));
});
