import { readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { readImage } from '@spatialsv/core/kit';
import { describeGoldenBackbone, withTemporaryFolder } from '@spatialsv/core/testing';
import { GOLDEN, type GoldenInfo, openGolden, writeGoldenFolder } from './__fixtures__/golden.js';
import type { CheckpointLayout } from './model-type.js';
import { internVl3 } from './plugin.js';
import { writeTinyInternVl3 } from './tiny-checkpoint.js';

for (const name of ['native-1', 'native-2', 'native-5', 'original-1', 'original-2', 'original-5']) {
  describeGoldenBackbone(`InternVL3 beside transformers, ${name}`, {
    folder: path.join(GOLDEN, name),
    open: (info) => openGolden(info as GoldenInfo),
  });
}

interface Prompt {
  readonly layout: CheckpointLayout;
  readonly system: string | null;
  readonly images: readonly string[];
  readonly ids: readonly number[];
}

describe('prompts', () => {
  it.each(['native', 'original'] as const)('have equal ids, %s', async (layout) => {
    const stored = await readFile(path.join(GOLDEN, 'prompts.json'), 'utf8');
    const { question, maxTiles, prompts } = JSON.parse(stored);
    const { folder } = await writeGoldenFolder(layout);
    const model = await internVl3.open(folder, { settings: { maxTiles } });
    const ofLayout = (prompts as Prompt[]).filter((prompt) => prompt.layout === layout);
    expect(ofLayout).toHaveLength(6);
    for (const { system, images: names, ids } of ofLayout) {
      const files = names.map((name) => path.join(GOLDEN, 'images', `${name}.png`));
      const images = await Promise.all(files.map((file) => readImage(file)));
      const asked = { images, question, ...(system === null ? {} : { system }) };
      expect([...(await model.prepare(asked)).inputIds]).toEqual(ids);
    }
    await rm(folder, { recursive: true });
  });
});

describe('the golden folders', () => {
  it.each(['native', 'original'] as const)('are what writeTiny writes, %s', (layout) =>
    withTemporaryFolder(async (folder) => {
      const options = JSON.parse(await readFile(path.join(GOLDEN, 'options.json'), 'utf8'));
      await writeTinyInternVl3({ ...options, layout, folder });
      for (const name of await readdir(path.join(GOLDEN, layout))) {
        const expected = await readFile(path.join(GOLDEN, layout, name), 'utf8');
        expect(await readFile(path.join(folder, name), 'utf8')).toBe(expected);
      }
    }),
  );
});
