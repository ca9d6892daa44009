import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  float32Source,
  openWeights,
  type SafetensorsReader,
  saveWeights,
  sizeOf,
  type TensorSource,
} from '@spatialsv/core/kit';
import { withTemporaryFolder } from '@spatialsv/core/testing';
import { inMemoryName } from './__fixtures__/native-names.js';
import type { CheckpointLayout } from './model-type.js';
import { internVl3 } from './plugin.js';
import { writeTinyInternVl3 } from './tiny-checkpoint.js';
import type { InternVl3TinyOptions } from './tiny-config.js';

const LAYOUTS: readonly CheckpointLayout[] = ['original', 'native'];
const HEAD = 'language_model.lm_head.weight';
const EMBEDDING = 'language_model.model.embed_tokens.weight';

const withTiny = (
  options: Partial<InternVl3TinyOptions>,
  use: (folder: string, target: string) => Promise<void>,
): Promise<void> =>
  withTemporaryFolder(async (root) => {
    const folder = path.join(root, 'source');
    const vision = { depth: 1, hiddenSize: 16, heads: 2, tileSize: 56 };
    const sizes = { hiddenSize: 16, layers: 2, heads: 2, vision };
    await writeTinyInternVl3({ folder, seed: 1, ...sizes, ...options });
    await use(folder, path.join(root, 'target'));
  });

const copies = async (reader: SafetensorsReader) => {
  const entries = reader.names.map(async (name) => {
    const { dtype, shape } = reader.info(name);
    return [name, float32Source(await reader.readFloat32(name), shape, dtype)] as const;
  });
  return new Map<string, TensorSource>(await Promise.all(entries));
};

/** Rewrites the weights of a folder. */
const rewrite = async (
  folder: string,
  change: (tensors: Map<string, TensorSource>) => ReadonlyMap<string, TensorSource>,
  shardOf?: (name: string) => string,
) => {
  const tensors = change(await copies(await openWeights(folder)));
  const layout = shardOf && new Map([...tensors.keys()].map((name) => [name, shardOf(name)]));
  if (layout) await rm(path.join(folder, 'model.safetensors'));
  await saveWeights(folder, tensors, layout);
};

const changeConfig = async (folder: string, change: (config: never) => unknown) => {
  const file = path.join(folder, 'config.json');
  const config = JSON.parse(await readFile(file, 'utf8'));
  await writeFile(file, JSON.stringify(change(config as never)));
};

/** One tensor of tower, projector and decoder. */
const names: Readonly<Record<CheckpointLayout, readonly string[]>> = {
  original: ['vision_model.encoder.layers.0.attn.qkv.weight', 'mlp1.3.bias', EMBEDDING],
  native: [
    'vision_tower.encoder.layer.0.attention.k_proj.weight',
    'multi_modal_projector.linear_2.bias',
    EMBEDDING,
  ],
};

describe.each(LAYOUTS)('a checkpoint, %s layout', (layout) => {
  it.each(['F32', 'BF16'] as const)('is saved under the names read, %s', (storedAs) =>
    withTiny({ layout, storedAs }, async (source, target) => {
      const model = await internVl3.open(source);
      const replaced = names[layout].map((name) => {
        const size = sizeOf(model.weights[name]!.shape);
        return [name, new Float32Array(size).fill(1 / 3)] as const;
      });
      await model.save(target, new Map(replaced));
      expect((await readdir(target)).sort()).toEqual((await readdir(source)).sort());
      const [before, after] = [await openWeights(source), await openWeights(target)];
      expect(after.names).toEqual(before.names);
      for (const name of before.names) {
        expect(after.info(name).dtype).toBe(storedAs);
        const same = Buffer.compare(await before.readRaw(name), await after.readRaw(name)) === 0;
        expect(same).toBe(!names[layout].includes(name));
      }
      await internVl3.open(target);
    }),
  );

  it('may lie in shards, and is saved in the same ones', () =>
    withTiny({ layout }, async (source, target) => {
      const shardOf = (name: string) =>
        `model-0000${name.startsWith('language_model.') ? 2 : 1}-of-00002.safetensors`;
      await rewrite(source, (tensors) => tensors, shardOf);
      const model = await internVl3.open(source);
      await model.save(target, new Map());
      expect((await openWeights(target)).weightMap).toEqual((await openWeights(source)).weightMap);
      const last = 'model-00002-of-00002.safetensors';
      await rm(path.join(source, last));
      await expect(internVl3.open(source)).rejects.toMatchObject({
        code: 'FILE_MISSING',
        message: expect.stringContaining(last),
      });
    }));

  it('may have an output matrix of its own although the configuration ties it', () =>
    withTiny({ layout }, async (folder) => {
      await changeConfig(folder, (config) => ({
        ...(config as object),
        tie_word_embeddings: true,
      }));
      expect(Object.keys((await internVl3.open(folder)).weights)).toContain(HEAD);
    }));

  it('has a tied output matrix follow the table', () =>
    withTiny({ layout, tieHead: true }, async (source, target) => {
      await rewrite(source, (tensors) => tensors.set(HEAD, tensors.get(EMBEDDING)!));
      const model = await internVl3.open(source);
      expect(Object.keys(model.weights)).not.toContain(HEAD);
      const size = sizeOf(model.weights[EMBEDDING]!.shape);
      await model.save(target, new Map([[EMBEDDING, new Float32Array(size).fill(2)]]));
      expect((await (await openWeights(target)).readFloat32(HEAD))[7]).toBe(2);
    }));

  const text = layout === 'original' ? 'llm_config' : 'text_config';
  const block = layout === 'original' ? 'encoder.layers.1.' : 'encoder.layer.1.';

  it.each([
    ['SHAPE_MISMATCH', text, { vocab_size: 400 }, EMBEDDING],
    ['WEIGHT_MISSING', text, { num_hidden_layers: 3 }, 'language_model.model.layers.2.'],
    ['WEIGHT_UNEXPECTED', text, { num_hidden_layers: 1 }, 'language_model.model.layers.1.'],
    ['SHAPE_MISMATCH', text, { intermediate_size: 49 }, 'mlp.gate_proj.weight'],
    ['WEIGHT_MISSING', 'vision_config', { num_hidden_layers: 2 }, block],
  ])('is refused with %s for %s %j', (code, part, change, named) =>
    withTiny({ layout }, async (folder) => {
      await changeConfig(folder, (config) => {
        const sizes = config as Record<string, object>;
        return { ...sizes, [part]: { ...sizes[part], ...change } };
      });
      const message = expect.stringContaining(named);
      await expect(internVl3.open(folder)).rejects.toMatchObject({ code, message });
    }),
  );

  it('is refused with the weights of the other layout, naming both', () =>
    withTiny({ layout }, (folder, other) =>
      withTiny({ layout: layout === 'original' ? 'native' : 'original' }, async (strange) => {
        await cp(folder, other, { recursive: true });
        const file = 'model.safetensors';
        await cp(path.join(strange, file), path.join(other, file));
        await expect(internVl3.open(other)).rejects.toMatchObject({
          code: expect.stringMatching(/^(WEIGHT_MISSING|SHAPE_MISMATCH)$/),
        });
      }),
    ));

  it('is refused with a tokenizer of another family', () =>
    withTiny({ layout }, async (folder) => {
      const file = path.join(folder, 'tokenizer.json');
      const stored = await readFile(file, 'utf8');
      await writeFile(file, stored.replaceAll('<IMG_CONTEXT>', '<NO_CONTEXT>'));
      await expect(internVl3.open(folder)).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
        message: expect.stringContaining('<IMG_CONTEXT>'),
      });
    }));

  it('takes no pixel budget and no unknown setting', () =>
    withTiny({ layout }, async (folder) => {
      await expect(internVl3.open(folder, { maxPixels: 50176 })).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
        hint: expect.stringContaining('maxTiles'),
      });
      for (const settings of [{ tiles: 3 }, { maxTiles: 0 }, { grid: 'all' }])
        await expect(internVl3.open(folder, { settings })).rejects.toMatchObject({
          code: 'CONFIG_INVALID',
          message: expect.stringContaining(Object.keys(settings)[0]!),
        });
    }));
});

describe('names of transformers in memory', () => {
  it('are read, and kept when saving', () =>
    withTiny({ layout: 'native' }, async (source, target) => {
      const before = (await openWeights(source)).names;
      await rewrite(
        source,
        (tensors) => new Map([...tensors].map(([name, tensor]) => [inMemoryName(name), tensor])),
      );
      const model = await internVl3.open(source);
      expect(Object.keys(model.weights).sort()).toEqual([...before].sort());
      const bias = 'multi_modal_projector.linear_2.bias';
      await model.save(target, new Map([[bias, new Float32Array(16)]]));
      const saved = await openWeights(target);
      expect([...saved.names].sort()).toEqual(before.map(inMemoryName).sort());
      expect((await saved.readFloat32(`model.${bias}`))[3]).toBe(0);
    }));
});

it.each(LAYOUTS)('counts the prompt for a repetition penalty as the %s code does', (layout) =>
  withTiny({ layout }, async (folder) => {
    const { generation } = (await internVl3.open(folder)).config;
    expect(generation.penalisesPrompt).toBe(layout === 'native');
  }),
);
