import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { dptGeometryHead, type SampleV1 } from '@spatialsv/core';
import { withTemporaryFolder } from '@spatialsv/core/testing';
import { openToyBackbone, writeToyCheckpoint } from '../testing/toy-backbone.js';
import { writeToyDataset } from '../testing/toy-data.js';
import { SampleInputsBuilder } from './sample-inputs.js';
import { VisionFeatures } from './vision-features.js';

interface Tensors {
  readonly inputIds: Int32Array;
  readonly features: Readonly<Record<string, Float32Array>>;
}

/** Inputs of samples, built by one builder, one after the other. */
const buildAll = (samplesOf: (folder: string) => Promise<readonly SampleV1[]>) =>
  withTemporaryFolder(async (folder) => {
    await mkdir(join(folder, 'model'));
    await writeToyCheckpoint(join(folder, 'model'), 1);
    await writeToyDataset(folder, 2);
    const backbone = await openToyBackbone(join(folder, 'model'));
    const features = new VisionFeatures(backbone, { device: 'cpu', weightsHash: '' });
    const heads = dptGeometryHead.configure({ preset: 'tiny' });
    const builder = new SampleInputsBuilder({ backbone, features, heads });
    const built: Tensors[] = [];
    for (const sample of await samplesOf(folder))
      built.push((await builder.build(sample)).tensors as unknown as Tensors);
    await features.dispose();
    return built;
  });

describe('SampleInputsBuilder', () => {
  it('keeps texts by content: samples of two data sets may have one id', async () => {
    const [first, second, again] = await buildAll(async (folder) => {
      const sample = { id: 'q0', images: [join(folder, '0-a.png')], answer: 'A' };
      return ['what is left', 'what is right', 'what is left'].map((question) => ({
        ...sample,
        question,
      }));
    });
    expect(second!.inputIds).not.toEqual(first!.inputIds);
    expect(again!.inputIds).toEqual(first!.inputIds);
  });

  it('keeps features by content: equal pictures under two paths, another one under the same id', async () => {
    const [first, copied, other] = await buildAll(async (folder) => {
      await cp(join(folder, '0-a.png'), join(folder, 'copy.png'));
      return ['0-a.png', 'copy.png', '1-b.png'].map((name) => ({
        id: 'q0',
        images: [join(folder, name)],
        question: 'where',
        answer: 'A',
      }));
    });
    expect(copied!.features).toEqual(first!.features);
    expect(other!.features).not.toEqual(first!.features);
  });
});
