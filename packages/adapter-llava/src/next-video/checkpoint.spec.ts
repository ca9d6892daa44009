import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  CompiledDecoder,
  copySource,
  openWeights,
  ProgramCache,
  padSequence,
  saveWeights,
  type TensorSource,
} from '@spatialsv/core/kit';
import type { BackboneV1 } from '@spatialsv/core/spec';
import { expectAllclose, readGolden, withTemporaryFolder } from '@spatialsv/core/testing';
import { llavaNextVideo } from './adapter.js';

const GOLDEN = fileURLToPath(new URL('./__golden__/', import.meta.url));
const SAVED = path.join(GOLDEN, 'saved-by-transformers');

/** A folder as transformers saves it (5.x configuration and names, bfloat16, shards), with tokenizer and processor beside. */
const writeSavedFolder = async (folder: string) => {
  await cp(path.join(GOLDEN, 'checkpoint'), folder, { recursive: true });
  for (const name of await readdir(SAVED))
    if (!/^(case|vectors)\./.test(name)) await cp(path.join(SAVED, name), path.join(folder, name));
};

const logitsOf = async (
  { decoder, config: sizes, weights }: BackboneV1,
  ids: readonly number[],
) => {
  const programs = new ProgramCache(8);
  const compiled = new CompiledDecoder({ decoder, sizes, weights, programs });
  const inputIds = Int32Array.from(ids);
  const count = Int32Array.from(ids, (_, i) => i);
  const prompt = { inputIds, labels: inputIds, positions: count, spliceIndex: count };
  const plain = { positionRows: 1 as const, nextPosition: ids.length, views: [], grids: [] };
  const sequence = padSequence({ ...prompt, ...plain });
  const { logits } = await compiled.forward(sequence, new Float32Array(0), {
    taps: [],
    logits: true,
  });
  await programs.dispose();
  return logits!;
};

/** The tensors of a folder under other names. */
const renamedTo = async (folder: string, to: (name: string) => string) => {
  const reader = await openWeights(folder);
  const entries = reader.names.map((name): readonly [string, TensorSource] => [
    to(name),
    copySource(reader, name),
  ]);
  return new Map(entries);
};

/** Names that the published ones have in memory, in transformers 4.52 and later. */
const inMemory = (name: string) =>
  name
    .replace(/^language_model\.lm_head/, 'lm_head')
    .replace(/^language_model\.model\./, 'model.language_model.')
    .replace(/^(vision_tower|multi_modal_projector|image_newline)/, 'model.$1');

const published = (name: string) =>
  name.replace(/^vision_tower\.(?!vision_model)/, 'vision_tower.vision_model.');

describe('a folder saved by transformers', () => {
  it('opens and gives the same logits', () =>
    withTemporaryFolder(async (folder) => {
      await writeSavedFolder(folder);
      const golden = await readGolden(SAVED);
      const { inputIds } = golden.info as { inputIds: number[] };
      const model = await llavaNextVideo.open(folder);
      const logits = await logitsOf(model, inputIds);
      const expected = golden.float32('logits');
      expectAllclose(logits.slice(-expected.length), expected, { rtol: 1e-4, atol: 1e-5 });
    }));

  it('is saved again byte for byte, but for what was replaced', () =>
    withTemporaryFolder(async (folder) => {
      const [source, target] = [path.join(folder, 'source'), path.join(folder, 'target')];
      await writeSavedFolder(source);
      const model = await llavaNextVideo.open(source);
      const name = 'multi_modal_projector.linear_2.bias';
      await model.save(target, new Map([[name, new Float32Array(16).fill(1 / 3)]]));
      expect((await readdir(target)).sort()).toEqual((await readdir(source)).sort());
      const [before, after] = [await openWeights(source), await openWeights(target)];
      expect(after.weightMap).toEqual(before.weightMap);
      expect(new Set(after.weightMap.values()).size).toBe(3);
      for (const stored of before.names) {
        expect(after.info(stored).dtype).toBe('BF16');
        const same =
          Buffer.compare(await before.readRaw(stored), await after.readRaw(stored)) === 0;
        expect(same).toBe(stored !== name);
      }
      // Vision layers that never run, and the newline of still images.
      expect(after.names).toContain('vision_tower.encoder.layers.1.mlp.fc1.weight');
      expect(after.names).toContain('vision_tower.post_layernorm.weight');
      expect(after.names).toContain('image_newline');
      expect(
        Object.keys(model.weights).filter((key) => /layers\.1\.mlp\.fc1|newline/.test(key)),
      ).toEqual([]);
    }));
});

describe('checkpoint names', () => {
  it.each([
    ['published', published],
    ['in-memory', inMemory],
  ])('may be the %s ones, which are kept when saving', (_, to) =>
    withTemporaryFolder(async (folder) => {
      await writeSavedFolder(folder);
      const tensors = await renamedTo(folder, to);
      const one = path.join(folder, 'one');
      await cp(path.join(GOLDEN, 'checkpoint'), one, { recursive: true });
      await cp(path.join(SAVED, 'config.json'), path.join(one, 'config.json'));
      await saveWeights(one, tensors);
      const model = await llavaNextVideo.open(one);
      expect(Object.keys(model.weights)).toContain('language_model.model.norm.weight');
      const target = path.join(folder, 'target');
      await model.save(
        target,
        new Map([['language_model.model.norm.weight', new Float32Array(16).fill(2)]]),
      );
      const saved = await openWeights(target);
      expect([...saved.names].sort()).toEqual([...tensors.keys()].sort());
      const norm = await saved.readFloat32(to('language_model.model.norm.weight'));
      expect(norm[3]).toBe(2);
    }),
  );

  it('may not be two schemes at once', () =>
    withTemporaryFolder(async (folder) => {
      await writeSavedFolder(folder);
      const tensors = await renamedTo(folder, (name) => name);
      const both = new Map([...tensors, ...(await renamedTo(folder, inMemory))]);
      const one = path.join(folder, 'one');
      await cp(path.join(GOLDEN, 'checkpoint'), one, { recursive: true });
      await cp(path.join(SAVED, 'config.json'), path.join(one, 'config.json'));
      await saveWeights(one, both);
      await expect(llavaNextVideo.open(one)).rejects.toMatchObject({ code: 'WEIGHT_UNEXPECTED' });
    }));
});

describe('where frames are described', () => {
  const write = (folder: string, name: string, content: unknown) =>
    writeFile(path.join(folder, name), JSON.stringify(content));

  it('the nested video processor of transformers 5 wins, then the file of videos', () =>
    withTemporaryFolder(async (folder) => {
      await writeSavedFolder(folder);
      const text = await readFile(path.join(folder, 'preprocessor_config.json'), 'utf8');
      const right = JSON.parse(text);
      const wrong = { ...right, crop_size: { height: 80, width: 84 } };
      const refused = (where: string) =>
        expect(llavaNextVideo.open(folder)).rejects.toMatchObject({
          code: 'CONFIG_INVALID',
          message: expect.stringContaining(`${where}.crop_size.height: expected the image_size 84`),
        });
      await write(folder, 'preprocessor_config.json', wrong);
      await llavaNextVideo.open(folder);
      await write(folder, 'video_preprocessor_config.json', wrong);
      await refused('video_preprocessor_config.json');
      await write(folder, 'processor_config.json', { video_processor: right });
      await llavaNextVideo.open(folder);
      await write(folder, 'processor_config.json', { video_processor: wrong });
      await refused('processor_config.json.video_processor');
    }));
});
