import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  float32Source,
  openWeights,
  type SafetensorsReader,
  saveWeights,
  type TensorSource, sizeOf } from '@spatialsv/core/kit';
import type { BackboneAdapterV1 } from '@spatialsv/core/spec';
import { rampImage, withTemporaryFolder } from '@spatialsv/core/testing';

export interface CheckpointCases {
  /** A tensor of the projector, by its published name. */
  readonly projector: string;
  readonly inMemoryName: (name: string) => string;
  /** Stands for a view in a prompt. */
  readonly placeholder: string;
  /** Fields of config.json that do not fit the weights, with what the message names. */
  readonly misfits: readonly (readonly [named: string, change: (config: Config) => Config])[];
}

// biome-ignore lint/suspicious/noExplicitAny: configurations are changed at places of any depth.
export type Config = Record<string, any>;

type Dtype = 'F32' | 'BF16';

const copies = async (reader: SafetensorsReader, dtype: Dtype) => {
  const entries = reader.names.map(async (name) => {
    const { shape } = reader.info(name);
    return [name, float32Source(await reader.readFloat32(name), shape, dtype)] as const;
  });
  return new Map<string, TensorSource>(await Promise.all(entries));
};

const FIRST = 'model-00001-of-00002.safetensors';
const SECOND = 'model-00002-of-00002.safetensors';

/** Every other tensor in each of two shards. */
const shards = (names: Iterable<string>): ReadonlyMap<string, string> =>
  new Map([...names].map((name, i) => [name, i % 2 === 0 ? FIRST : SECOND]));

const changeConfig = async (folder: string, change: (config: Config) => Config) => {
  const file = path.join(folder, 'config.json');
  const config = JSON.parse(await readFile(file, 'utf8'));
  await writeFile(file, JSON.stringify(change(config)));
};

/** Layouts in which a checkpoint may come, and folders and images that are refused. */
export const describeCheckpoints = (
  adapter: BackboneAdapterV1,
  { projector, inMemoryName, placeholder, misfits }: CheckpointCases,
): void => {
  const withTiny = (use: (folder: string, names: readonly string[]) => Promise<void>) =>
    withTemporaryFolder(async (root) => {
      const folder = path.join(root, 'model');
      await adapter.writeTiny({ folder, seed: 3, corpus: ['Where?'] });
      await use(folder, (await openWeights(folder)).names);
    });

  describe(`checkpoints of ${adapter.id}`, () => {
    it.each<[Dtype, 'one file' | 'shards', 'published' | 'in memory']>([
      ['F32', 'one file', 'in memory'],
      ['F32', 'shards', 'published'],
      ['BF16', 'one file', 'published'],
      ['BF16', 'shards', 'in memory'],
    ])('may be %s in %s with %s names, which are kept', (dtype, files, scheme) =>
      withTiny(async (folder) => {
        const read = await copies(await openWeights(folder), dtype);
        const nameOf = scheme === 'published' ? (name: string) => name : inMemoryName;
        const tensors = new Map([...read].map(([name, tensor]) => [nameOf(name), tensor]));
        const weightMap = files === 'shards' ? shards(tensors.keys()) : undefined;
        const stored = path.join(folder, '..', 'stored');
        await (await adapter.open(folder)).save(stored, new Map());
        await rm(path.join(stored, 'model.safetensors'));
        await saveWeights(stored, tensors, weightMap);
        const backbone = await adapter.open(stored);
        const size = sizeOf(backbone.weights[projector]!.shape);
        const target = path.join(folder, '..', 'target');
        await backbone.save(target, new Map([[projector, new Float32Array(size).fill(0.5)]]));
        const [before, after] = [await openWeights(stored), await openWeights(target)];
        expect(after.weightMap).toEqual(before.weightMap);
        for (const name of before.names) {
          expect(after.info(name)).toMatchObject({ dtype, shape: before.info(name).shape });
          const isSame = Buffer.compare(await before.readRaw(name), await after.readRaw(name)) === 0;
          expect([name, isSame]).toEqual([name, name !== nameOf(projector)]);
        }
        expect((await after.readFloat32(nameOf(projector)))[0]).toBe(0.5);
      }),
    );

    it('may not lack a shard', () =>
      withTiny(async (folder, names) => {
        const reader = await openWeights(folder);
        const lost = path.join(folder, '..', 'lost');
        await (await adapter.open(folder)).save(lost, new Map());
        await rm(path.join(lost, 'model.safetensors'));
        await saveWeights(lost, await copies(reader, 'F32'), shards(names));
        await rm(path.join(lost, SECOND));
        await expect(adapter.open(lost)).rejects.toMatchObject({
          code: 'FILE_MISSING',
          message: expect.stringContaining(SECOND),
        });
      }));

    it.each(misfits.map(([named, change]) => [named, change] as const))(
      'may not disagree with config.json: %s',
      (named, change) =>
        withTiny(async (folder) => {
          await changeConfig(folder, change);
          await expect(adapter.open(folder)).rejects.toMatchObject({
            code: expect.stringMatching(/^(CONFIG_INVALID|SHAPE_MISMATCH|WEIGHT_\w+)$/),
            message: expect.stringContaining(named),
          });
        }),
    );

    it('take no setting that they do not know', () =>
      withTiny(async (folder) => {
        const opened = adapter.open(folder, { settings: { colour: 'red' } });
        await expect(opened).rejects.toMatchObject({
          code: 'CONFIG_INVALID',
          message: expect.stringContaining('colour'),
        });
      }));

    it('refuse an image of 1 × 4000 pixels and text that stands for a view', () =>
      withTiny(async (folder) => {
        const backbone = await adapter.open(folder);
        for (const count of [1, 2]) {
          const images = Array(count).fill(rampImage(4000, 1));
          await expect(backbone.prepare({ images, question: 'Where?' })).rejects.toMatchObject({
            code: 'IMAGE_INVALID',
            message: expect.stringContaining('4000×1'),
          });
        }
        const question = `What is ${placeholder}?`;
        await expect(backbone.prepare({ images: [], question })).rejects.toMatchObject({
          code: 'DATA_INVALID',
          message: expect.stringContaining(placeholder),
        });
      }));
  });
};
