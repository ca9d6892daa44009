import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { cellShapes } from '@spatialsv/core/kit';
import { describeGoldenBackbone, wideWeight, writeWideCheckpoint } from '@spatialsv/core/testing';
import { llavaOneVision15 } from './adapter.js';
import { parseOneVision15Config } from './config.js';

const GOLDEN = fileURLToPath(new URL('./__golden__/', import.meta.url));

/** Writes the weights that reference/llava-onevision-15/make_golden.py makes from their names, and opens the folder. */
const open = async () => {
  const source = path.join(GOLDEN, 'checkpoint');
  const folder = await mkdtemp(path.join(tmpdir(), 'onevision15-golden-'));
  const config = JSON.parse(await readFile(path.join(source, 'config.json'), 'utf8'));
  const { vision, decoder } = parseOneVision15Config(config);
  const shapes = cellShapes(vision, decoder);
  await writeWideCheckpoint(source, folder, shapes);
  const backbone = await llavaOneVision15.open(folder);
  return { backbone, weight: (name: string) => wideWeight(name, shapes[name]!) };
};

for (const name of ['views-1', 'views-2', 'views-5']) {
  const folder = path.join(GOLDEN, name);
  describeGoldenBackbone(`LLaVA-OneVision-1.5 beside stock classes, ${name}`, { folder, open });
}
