import { mkdtemp, readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { readImage } from '@spatialsv/core/kit';
import {
  describeGoldenBackbone,
  type GoldenBackboneInfo,
  wideWeight,
  withTemporaryFolder,
  writeWideCheckpoint,
} from '@spatialsv/core/testing';
import { llavaOneVision } from './adapter.js';
import { parseOneVisionConfig } from './config.js';
import { storedShapes, writeTinyOneVision } from './tiny-checkpoint.js';

const GOLDEN = fileURLToPath(new URL('./__golden__/', import.meta.url));
const CHECKPOINT = path.join(GOLDEN, 'checkpoint');

const readJson = async (file: string) => JSON.parse(await readFile(file, 'utf8'));

type Info = GoldenBackboneInfo & { readonly settings: Readonly<Record<string, unknown>> };

const open = async (info?: GoldenBackboneInfo) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'onevision-golden-'));
  const shapes = storedShapes(
    parseOneVisionConfig(await readJson(path.join(CHECKPOINT, 'config.json'))),
  );
  await writeWideCheckpoint(CHECKPOINT, folder, shapes);
  const { settings = {} } = (info ?? {}) as Partial<Info>;
  const backbone = await llavaOneVision.open(folder, { settings });
  return { backbone, weight: (name: string) => wideWeight(name, shapes[name]!) };
};

for (const name of [
  ...['tiles-wide', 'tiles-tall', 'tiles-tiny', 'tiles-square', 'tiles-large'],
  ...['views-2', 'views-5'],
  ...['frames-1', 'frames-2', 'frames-5'],
]) {
  const folder = path.join(GOLDEN, name);
  describeGoldenBackbone(`LLaVA-OneVision beside transformers, ${name}`, { folder, open });
}

interface Texts {
  readonly question: string;
  readonly prompts: readonly {
    readonly system: string | null;
    readonly images: readonly string[];
    readonly ids: readonly number[];
  }[];
  readonly encoded: readonly { readonly text: string; readonly ids: readonly number[] }[];
}

describe('texts beside transformers', () => {
  it('have equal ids', async () => {
    const { question, prompts, encoded }: Texts = await readJson(path.join(GOLDEN, 'texts.json'));
    const { backbone } = await open();
    expect(prompts).toHaveLength(6);
    for (const { system, images: names, ids } of prompts) {
      const files = names.map((name) =>
        path.join(GOLDEN, '../../shared/__golden__', `${name}.png`),
      );
      const images = await Promise.all(files.map((file) => readImage(file)));
      const conversation = { question, images, ...(system !== null && { system }) };
      expect([...(await backbone.prepare(conversation)).inputIds]).toEqual(ids);
    }
    for (const { text, ids } of encoded) {
      const { inputIds, labels } = await backbone.prepare({ images: [], question, answer: text });
      const answer = [...inputIds].filter((_, i) => labels[i] !== -100);
      expect(answer).toEqual([...ids, backbone.config.generation.endOfTurnIds[0]]);
    }
  });
});

describe('the golden folder', () => {
  it('is what writeTiny writes', () =>
    withTemporaryFolder(async (folder) => {
      await writeTinyOneVision({ ...(await readJson(path.join(GOLDEN, 'options.json'))), folder });
      for (const name of await readdir(CHECKPOINT)) {
        const expected = await readFile(path.join(CHECKPOINT, name), 'utf8');
        expect(await readFile(path.join(folder, name), 'utf8')).toBe(expected);
      }
    }));
});
