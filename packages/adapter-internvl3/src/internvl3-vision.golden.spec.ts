import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { tf } from '@spatialsv/core/kit';
import { expectAllclose, wideWeight } from '@spatialsv/core/testing';
import { GOLDEN, goldenWeight } from './__fixtures__/golden.js';
import { parseInternVl3Config } from './internvl3-config.js';
import { internVl3Shapes } from './internvl3-names.js';
import { projectCells, VISION_NAMES } from './internvl3-vision.js';

beforeAll(() => tf.setBackend('cpu'));

describe.each(['native', 'original'] as const)('the projector, %s names', (layout) => {
  it('has the epsilon of the reference', async () => {
    const stored = await readFile(path.join(GOLDEN, 'prompts.json'), 'utf8');
    const expected = (JSON.parse(stored).smallProjection.rows as number[][]).flat();
    const file = await readFile(path.join(GOLDEN, layout, 'config.json'), 'utf8');
    const config = parseInternVl3Config(JSON.parse(file));
    const names = VISION_NAMES[layout];
    const weights = Object.entries(internVl3Shapes(config))
      .filter(([name]) => name.startsWith(`${names.projector}.`))
      .map(([name, shape]) => [name, tf.tensor(goldenWeight(name, shape), [...shape])] as const);
    const features = wideWeight('features', [4, 128]).map((value) => value * 0.003);
    const rows = projectCells(
      config.vision,
      names,
      Object.fromEntries(weights),
      tf.tensor(features, [16, 32]),
    );
    expectAllclose(rows.dataSync<'float32'>(), expected, { rtol: 1e-4, atol: 1e-5 });
  });
});
