import { createScene } from './create-scene.js';
import { FEATURE_CHANNELS } from './features.js';
import { renderLabels } from './labels.js';
import { renderGeometry } from './render-view.js';
import { FIRST_OBJECT_ID, OBJECT_KINDS } from './scene.js';
import { ballAt, levelCamera, plainScene } from './testing/plain-scene.js';

const grid = { h: 6, w: 8 };
const IMAGE = { width: 112, height: 84 };

const featuresOf = (scene: Parameters<typeof renderLabels>[0], views = scene.cameras.length) =>
  renderLabels(scene, {
    cameras: scene.cameras.slice(0, views),
    ...IMAGE,
    featureGrid: grid,
  }).features!;

const cell = (data: Float32Array, view: number, row: number, column: number): Float32Array => {
  const start = ((view * grid.h + row) * grid.w + column) * FEATURE_CHANNELS;
  return data.subarray(start, start + FEATURE_CHANNELS);
};

describe('feature maps', () => {
  it('are (V, h, w, 64), finite and bounded', () => {
    const { data, h, w, channels } = featuresOf(createScene(6, { motion: 'around' }));
    expect([h, w, channels]).toEqual([6, 8, 64]);
    expect(data).toHaveLength(3 * 6 * 8 * 64);
    expect(data.every((value) => Math.abs(value) <= 3)).toBe(true);
  });

  it('hold shares of classes that add up to one', () => {
    const { data } = featuresOf(createScene(7, { motion: 'among' }));
    for (let k = 0; k < 4 * grid.h * grid.w; k++) {
      const classes = data.subarray(k * 64 + 39, k * 64 + 54);
      expect(classes.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 5);
    }
  });

  it('describe a plain wall as a plane that faces the camera', () => {
    const scene = plainScene([], [levelCamera([0, 0], 0), levelCamera([0, 1], 0)]);
    const { data } = featuresOf(scene);
    for (const view of [0, 1]) {
      const wall = cell(data, view, 2, 3);
      expect([...wall.subarray(36, 39)]).toEqual([0, 0, -1].map((n) => expect.closeTo(n, 5)));
      expect(wall[53]).toBe(1);
      expect(wall[63]).toBe(0);
      // The wall lies 4 m ahead of the first camera, seen from either.
      expect(wall[24]).toBeCloseTo(Math.sin((2 * Math.PI * 4) / 16), 5);
      expect(wall[25]).toBeCloseTo(Math.cos((2 * Math.PI * 4) / 16), 5);
      expect(wall[57]).toBeCloseTo(1 / (1 + 4 - view), 5);
      expect(wall[58]).toBeCloseTo(Math.log(5 - view), 5);
    }
  });

  it('mark the object where the instance map has it', () => {
    const scene = plainScene([ballAt([0, 2], 1.2)]);
    const { data } = featuresOf(scene);
    const { instances } = renderGeometry(scene, scene.cameras[0]!, {
      width: grid.w * 4,
      height: grid.h * 4,
      imageSize: IMAGE,
    });
    const share = new Float64Array(grid.h * grid.w);
    instances.forEach((id, k) => {
      const row = Math.floor(k / (grid.w * 4) / 4);
      const column = Math.floor((k % (grid.w * 4)) / 4);
      if (id === FIRST_OBJECT_ID) share[row * grid.w + column]! += 1 / 16;
    });
    expect(Math.max(...share)).toBe(1);
    const channel = 39 + OBJECT_KINDS.indexOf('ball');
    share.forEach((value, k) => {
      expect(data[k * 64 + channel]).toBeCloseTo(value, 5);
    });
  });
});
