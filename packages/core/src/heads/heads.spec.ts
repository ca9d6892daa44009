import { type Tensor, tf } from '@spatialsv/engine';
import type { Parameters } from '../spec.js';
import { expectAllclose } from '../testing/index.js';
import { resizeAligned } from './dense-layers.js';
import { dptModel } from './dpt-model.js';
import { initialiseDistillation, initialiseHeads } from './head-parameters.js';
import { headOutputSize, headsConfigSchema, parseHeadsConfig } from './heads-config.js';
import { positionTables } from './position-embedding.js';
import { predictGeometry } from './predict-geometry.js';

const CHANNELS = [8, 8, 8, 8];

beforeAll(async () => {
  await tf.setBackend('cpu');
});

function tensors(config: ReturnType<typeof parseHeadsConfig>, seed = 1): Parameters {
  const values = Object.entries(initialiseHeads(config, CHANNELS, seed));
  return Object.fromEntries(values.map(([name, v]) => [name, tf.tensor(v.data, [...v.shape])]));
}

const taps = (views: number, h: number, w: number): Tensor[] =>
  CHANNELS.map((channels, i) => tf.randomNormal([views, h, w, channels], 0, 1, 'float32', i));

describe('heads configuration', () => {
  it('has the documented presets', () => {
    const small = parseHeadsConfig();
    expect([small.projectorChannels, small.stageChannels, small.features]).toEqual([
      256,
      [48, 96, 192, 384],
      64,
    ]);
    const full = parseHeadsConfig({ preset: 'full', features: 128 });
    expect([full.projectorChannels, full.stageChannels, full.features]).toEqual([
      2048,
      [256, 512, 1024, 1024],
      128,
    ]);
  });

  it('is unchanged by parsing it again', () => {
    const config = parseHeadsConfig({ preset: 'tiny', tasks: ['ray'], outputScale: 4 });
    expect(headsConfigSchema.parse(structuredClone(config))).toEqual(config);
  });

  it.each([
    [{ feature: 64 }],
    [{ features: 63 }],
    [{ features: 12 }],
    [{ stageChannels: [48, 96, 192] }],
    [{ stageChannels: [6, 8, 8, 8] }],
    [{ projectors: 'both' }],
  ])('refuses %j', (input) => {
    expect(() => parseHeadsConfig(input)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID' }),
    );
  });

  it('without tasks has no parameters and takes no layers', () => {
    const model = dptModel('dpt', { tasks: [] });
    expect(model.tapCount).toBe(0);
    expect(model.initialise([], 1)).toEqual({});
  });
});

describe('initialiseHeads', () => {
  const config = parseHeadsConfig({ preset: 'tiny' });

  it('is reproducible, differs between seeds, and keeps a head when another task is left out', () => {
    const first = initialiseHeads(config, CHANNELS, 5);
    expect(initialiseHeads(config, CHANNELS, 5)).toEqual(first);
    const name = 'spatial.depth.scratch.output_conv1.weight';
    expect(initialiseHeads(config, CHANNELS, 6)[name]).not.toEqual(first[name]);
    const alone = initialiseHeads({ ...config, tasks: ['depth'] }, CHANNELS, 5);
    expect(alone[name]).toEqual(first[name]);
  });

  it('spreads weights evenly within ±1/√fan_in and leaves norms neutral', () => {
    const values = initialiseHeads(config, CHANNELS, 7);
    const weight = values['spatial.point.scratch.refinenet2.resConfUnit1.conv1.weight']!.data;
    const bound = 1 / Math.sqrt(9 * config.features);
    expect(Math.max(...weight.map(Math.abs))).toBeLessThanOrEqual(bound);
    const variance = weight.reduce((sum, w) => sum + w * w, 0) / weight.length;
    expect(variance / (bound * bound)).toBeCloseTo(1 / 3, 1);
    expect([...values['spatial.projectors.3.norm.weight']!.data]).toEqual(Array(8).fill(1));
    expect([...values['spatial.projectors.3.norm.bias']!.data]).toEqual(Array(8).fill(0));
  });

  it('makes the distillation projector C → 2C → d', () => {
    const values = initialiseDistillation(6, 10, 1);
    const shapes = Object.entries(values).map(([name, value]) => [name, value.shape]);
    expect(Object.fromEntries(shapes)).toEqual({
      'spatial.distill.fc1.weight': [12, 6],
      'spatial.distill.fc1.bias': [12],
      'spatial.distill.fc2.weight': [10, 12],
      'spatial.distill.fc2.bias': [10],
    });
  });

  it('refuses taps of unequal width for a shared projector, and other counts than four', () => {
    const shared = parseHeadsConfig({ preset: 'tiny', projectors: 'shared' });
    const mismatch = expect.objectContaining({ code: 'SHAPE_MISMATCH' });
    expect(() => initialiseHeads(shared, [8, 8, 8, 16], 1)).toThrow(mismatch);
    expect(() => initialiseHeads(config, [8, 8, 8], 1)).toThrow(mismatch);
  });
});

describe('predictGeometry', () => {
  const config = parseHeadsConfig({ preset: 'tiny' });

  it('gives positive depth, confidences above 1 and maps of the native size', async () => {
    const size = headOutputSize(config, { h: 2, w: 3 });
    const found = predictGeometry(config, tensors(config), taps(2, 2, 3), size);
    expect(size).toEqual({ height: 16, width: 24 });
    expect(found.depth!.shape).toEqual([2, 16, 24]);
    expect(found.rays!.shape).toEqual([2, 16, 24, 6]);
    expect(found.points!.shape).toEqual([2, 16, 24, 3]);
    expect(Math.min(...(await found.depth!.data()))).toBeGreaterThan(0);
    for (const name of ['depthConfidence', 'rayConfidence', 'pointConfidence'] as const) {
      expect(found[name]!.shape).toEqual([2, 16, 24]);
      expect(Math.min(...(await found[name]!.data()))).toBeGreaterThan(1);
    }
  });

  it('predicts each view by itself', async () => {
    const parameters = tensors(config);
    const both = taps(2, 2, 2);
    const size = { height: 9, width: 13 };
    const second = both.map((tap) => tf.slice(tap, [1, 0, 0, 0], [1, ...tap.shape.slice(1)]));
    const together = predictGeometry(config, parameters, both, size).points!;
    const alone = predictGeometry(config, parameters, second, size).points!;
    const expected = await tf.slice(together, [1, 0, 0, 0], alone.shape).data();
    expectAllclose(await alone.data(), expected, { rtol: 1e-5, atol: 1e-6 });
  });

  it('predicts the same with small heads together and each head alone', async () => {
    const parameters = tensors(config);
    const size = { height: 9, width: 13 };
    const layers = taps(2, 2, 3);
    const together = predictGeometry(config, parameters, layers, size);
    for (const task of config.tasks) {
      const alone = predictGeometry({ ...config, tasks: [task] }, parameters, layers, size);
      for (const name of Object.keys(alone) as (keyof typeof alone)[]) {
        expect(together[name]!.shape).toEqual(alone[name]!.shape);
        const expected = await alone[name]!.data();
        expectAllclose(await together[name]!.data(), expected, { rtol: 1e-5, atol: 1e-6 });
      }
    }
  });

  it('works on a single token', () => {
    const size = headOutputSize(config, { h: 1, w: 1 });
    const { depth } = predictGeometry(config, tensors(config), taps(1, 1, 1), size);
    expect(depth!.shape).toEqual([1, 8, 8]);
  });

  it('names a missing parameter', () => {
    const { 'spatial.ray.projects.2.bias': _, ...rest } = tensors(config);
    const size = { height: 8, width: 8 };
    expect(() => predictGeometry(config, rest, taps(1, 1, 1), size)).toThrow(
      expect.objectContaining({
        code: 'WEIGHT_MISSING',
        message: expect.stringContaining('spatial.ray.projects.2.bias'),
      }),
    );
  });

  it('refuses taps of different grids', () => {
    const mixed = [...taps(1, 2, 2).slice(0, 3), taps(1, 2, 3)[3]!];
    const size = { height: 8, width: 8 };
    expect(() => predictGeometry(config, tensors(config), mixed, size)).toThrow(
      expect.objectContaining({ code: 'SHAPE_MISMATCH' }),
    );
  });
});

describe('dense layers', () => {
  it('resizes with aligned corners', async () => {
    const x = tf.tensor4d([0, 1, 2, 3, 4, 5], [1, 2, 3, 1]);
    const y = await tf.squeeze(resizeAligned(x, 4, 6)).data();
    expectAllclose(y.slice(0, 6), [0, 0.4, 0.8, 1.2, 1.6, 2], { atol: 1e-6 });
    expectAllclose(y.slice(6, 12), [1, 1.4, 1.8, 2.2, 2.6, 3], { atol: 1e-6 });
  });

  it('embeds positions as VGGT does', () => {
    const { columns, rows } = positionTables({ h: 3, w: 4 }, 8, 4 / 3);
    const at = (row: number, column: number) =>
      Array.from({ length: 8 }, (_, c) => columns[8 * column + c]! + rows[8 * row + c]!);
    const expected = [
      -0.56464249, -0.059964, 0.82533562, 0.99820054, -0.38941833, -0.03998933, 0.92106098,
      0.99920011,
    ];
    expectAllclose(at(0, 0), expected, { rtol: 1e-6, atol: 1e-7 });
    // Row 1, column 1 lies at (−0.2, 0).
    const centre = at(1, 1);
    expectAllclose([centre[0]!, centre[4]!, centre[6]!], [Math.sin(-0.2), 0, 1], { atol: 1e-7 });
  });
});
