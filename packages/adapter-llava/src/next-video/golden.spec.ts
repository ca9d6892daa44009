import { mkdtemp, readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BackboneV1, RgbImage } from '@spatialsv/core/spec';
import {
  describeGoldenBackbone,
  wideWeight,
  withTemporaryFolder,
  writeWideCheckpoint,
} from '@spatialsv/core/testing';
import { llavaNextVideo } from './adapter.js';
import { parseNextVideoConfig } from './config.js';
import { renderPrompt } from './prompt.js';
import { storedShapes, writeTinyNextVideo } from './tiny-checkpoint.js';

const GOLDEN = fileURLToPath(new URL('./__golden__/', import.meta.url));
const CHECKPOINT = path.join(GOLDEN, 'checkpoint');

const readJson = async (file: string) => JSON.parse(await readFile(file, 'utf8'));

const open = async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'next-video-golden-'));
  const config = await readJson(path.join(CHECKPOINT, 'config.json'));
  const shapes = storedShapes(parseNextVideoConfig(config));
  await writeWideCheckpoint(CHECKPOINT, folder, shapes);
  const backbone = await llavaNextVideo.open(folder);
  return { backbone, weight: (name: string) => wideWeight(name, shapes[name]!) };
};

for (const name of ['views-1', 'views-2', 'views-5']) {
  describeGoldenBackbone(`CLIP + Vicuna beside transformers, ${name}`, {
    folder: path.join(GOLDEN, name),
    open,
  });
}

interface Texts {
  readonly question: string;
  readonly prompts: readonly {
    readonly system: string | null;
    readonly views: number;
    readonly text: string;
    readonly ids: readonly number[];
  }[];
  readonly encoded: readonly { readonly text: string; readonly ids: readonly number[] }[];
}

describe('texts beside transformers', () => {
  const grey: RgbImage = { data: new Uint8Array(84 * 84 * 3), width: 84, height: 84 };
  let texts: Texts;
  let model: BackboneV1;

  beforeAll(async () => {
    texts = await readJson(path.join(GOLDEN, 'texts.json'));
    model = (await open()).backbone;
  });

  it('are prompts with equal text and ids, one placeholder for all rows of the video', async () => {
    const { question, prompts } = texts;
    expect(prompts).toHaveLength(4);
    for (const { system, views, text, ids } of prompts) {
      const parts = { question, ...(system !== null && { system }) };
      expect(renderPrompt({ ...parts, hasViews: views > 0 })).toBe(text);
      const images = Array<RgbImage>(views).fill(grey);
      const { inputIds, spliceIndex } = await model.prepare({ ...parts, images });
      // Of the nine rows of a frame, one is left.
      const isFurther = (i: number) => spliceIndex[i]! > inputIds.length;
      expect([...inputIds].filter((_, i) => !isFurther(i))).toEqual(ids);
    }
  });

  it('are answers with equal ids', async () => {
    for (const { text, ids } of texts.encoded) {
      const prepared = await model.prepare({ images: [], question: '', answer: text });
      const answer = [...prepared.inputIds].filter((_, i) => prepared.labels[i] !== -100);
      expect(answer).toEqual([...ids, 2]);
    }
  });
});

describe('the golden folder', () => {
  it('is what writeTiny writes', () =>
    withTemporaryFolder(async (folder) => {
      const options = await readJson(path.join(GOLDEN, 'options.json'));
      await writeTinyNextVideo({ ...options, folder });
      for (const name of await readdir(CHECKPOINT)) {
        const expected = await readFile(path.join(CHECKPOINT, name), 'utf8');
        expect(await readFile(path.join(folder, name), 'utf8')).toBe(expected);
      }
    }));
});
