import { readFileSync } from 'node:fs';
import { parseOneVisionConfig } from './config.js';
import { MODEL_TYPE } from './model-type.js';
import { bestResolution, planTiles } from './tiling.js';

/** Height, width, height and width of the resolution, visual rows with 4 and with 9 tiles at most. */
type Row = readonly [number, number, number, number, number, number];

const file = new URL('./__golden__/counts.json', import.meta.url);
const { rows }: { rows: readonly Row[] } = JSON.parse(readFileSync(file, 'utf8'));
const published = parseOneVisionConfig({ model_type: MODEL_TYPE });

describe('tiles beside transformers', () => {
  it('have the resolutions and the numbers of visual rows of many sizes', () => {
    expect(rows.length).toBeGreaterThan(200);
    for (const [height, width, ...expected] of rows) {
      const image = { height, width };
      const counts = [4, 9].map((maxTiles) => {
        const { h, w } = planTiles(image, { ...published, maxTiles });
        return 729 + h * (w + 1);
      });
      const resolution = bestResolution(image, published.resolutions);
      expect([height, width, ...resolution, ...counts]).toEqual([height, width, ...expected]);
    }
  });

  it('keep the cells that see the image', () => {
    const plan = planTiles({ height: 480, width: 640 }, published);
    expect(plan).toEqual({
      ...{ rows: 2, columns: 2, fitted: { height: 576, width: 768 } },
      ...{ top: 7, left: 0, keptRows: 40, keptColumns: 54, h: 40, w: 54 },
    });
  });
});
