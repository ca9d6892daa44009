import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  describeGoldenBackbone,
  type GoldenBackboneInfo,
  wideWeight,
  withTemporaryFolder,
  writeWideCheckpoint,
} from '@spatialsv/core/testing';
import { llavaNextVideoSiglip } from './adapter.js';
import { parseNextVideoSiglipConfig } from './config.js';
import { storedShapes, writeTinyNextVideoSiglip } from './tiny-checkpoint.js';

const GOLDEN = fileURLToPath(new URL('./__golden__/', import.meta.url));
const CHECKPOINT = path.join(GOLDEN, 'checkpoint');

const open = async (info: GoldenBackboneInfo) => {
  const { config: change } = info as GoldenBackboneInfo & { config: Record<string, unknown> };
  const folder = await mkdtemp(path.join(tmpdir(), 'siglip-golden-'));
  const text = await readFile(path.join(CHECKPOINT, 'config.json'), 'utf8');
  const config = { ...JSON.parse(text), ...change };
  const shapes = storedShapes(parseNextVideoSiglipConfig(config));
  await writeWideCheckpoint(CHECKPOINT, folder, shapes);
  await writeFile(path.join(folder, 'config.json'), JSON.stringify(config));
  const backbone = await llavaNextVideoSiglip.open(folder);
  return { backbone, weight: (name: string) => wideWeight(name, shapes[name]!) };
};

for (const name of [
  'views-1',
  'views-2',
  'views-5',
  'average-frame',
  'max-one_token',
  'bilinear-no_token',
]) {
  describeGoldenBackbone(`SigLIP + Qwen2 beside stock parts of transformers, ${name}`, {
    folder: path.join(GOLDEN, name),
    open,
  });
}

describe('the golden folder', () => {
  it('is what writeTiny writes', () =>
    withTemporaryFolder(async (folder) => {
      const options = JSON.parse(await readFile(path.join(GOLDEN, 'options.json'), 'utf8'));
      await writeTinyNextVideoSiglip({ ...options, folder });
      for (const name of await readdir(CHECKPOINT)) {
        const expected = await readFile(path.join(CHECKPOINT, name), 'utf8');
        expect(await readFile(path.join(folder, name), 'utf8')).toBe(expected);
      }
    }));
});
