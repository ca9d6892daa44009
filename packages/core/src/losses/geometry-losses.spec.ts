import { type Tensor, tf } from '@spatialsv/engine';
import type { GeometryPrediction } from '../heads/predict-geometry.js';
import { createRandom } from '../random.js';
import { expectAllclose } from '../testing/index.js';
import {
  type GeometryLosses,
  type GeometryTargets,
  geometryLosses,
  totalLoss,
} from './geometry-losses.js';
import { type LossConfigInput, lossConfigSchema } from './loss-config.js';
import { normals } from './normal-loss.js';

const SHAPE = [2, 8, 10] as const;
const CLOSE = { rtol: 1e-5, atol: 1e-7 };

beforeAll(async () => {
  await tf.setBackend('cpu');
});

/** f at every (view, row, column), as (V, H, W) or with the given channels. */
function map(f: (s: number, y: number, x: number, channel: number) => number, channels?: number) {
  const [views, height, width] = SHAPE;
  const count = channels ?? 1;
  const data = Float32Array.from({ length: views * height * width * count }, (_, i) => {
    const pixel = Math.floor(i / count);
    const row = Math.floor(pixel / width);
    return f(Math.floor(row / height), row % height, pixel % width, i % count);
  });
  return tf.tensor(data, channels === undefined ? [...SHAPE] : [...SHAPE, channels]);
}

const labelDepth = (s: number, y: number, x: number) =>
  2 + 0.5 * Math.sin(0.7 * x) + 0.3 * Math.cos(0.5 * y) + 0.2 * s;
const predictedDepth = (s: number, y: number, x: number) =>
  labelDepth(s, y, x) + 0.1 * Math.sin(1.3 * x + 0.9 * y + s);
const point = (depth: typeof labelDepth) => (s: number, y: number, x: number, channel: number) =>
  [(x - 4.5) / 8, (y - 3.5) / 8, 1][channel]! * depth(s, y, x);
const labelRay = (s: number, y: number, x: number, channel: number) =>
  0.1 * (channel + 1) + 0.02 * x - 0.03 * y + 0.05 * s;
const predictedRay = (s: number, y: number, x: number, channel: number) =>
  labelRay(s, y, x, channel) + 0.05 * Math.sin(0.5 * x + 0.7 * y + channel + s);

/** The analytic maps of the loss goldens: 136 valid pixels of 160. */
function analyticMaps(): { predictions: GeometryPrediction; labels: GeometryTargets } {
  const confidence = () => map((_s, y, x) => 1 + Math.exp(0.3 * Math.cos(0.4 * x - 0.6 * y)));
  const mask = map((s, y, x) => ((3 * x + 5 * y + s) % 7 === 0 ? 0 : 1));
  return {
    predictions: {
      depth: map(predictedDepth),
      depthConfidence: confidence(),
      rays: map(predictedRay, 6),
      rayConfidence: confidence(),
      points: map(point(predictedDepth), 3),
      pointConfidence: confidence(),
    },
    labels: {
      depth: map(labelDepth),
      mask,
      rays: map(labelRay, 6),
      rayMask: tf.ones([...SHAPE]),
      points: map(point(labelDepth), 3),
      pointMask: mask,
    },
  };
}

async function analyticLosses(config: LossConfigInput): Promise<Record<string, number>> {
  const { predictions, labels } = analyticMaps();
  return numbers(geometryLosses(lossConfigSchema.parse(config), predictions, labels));
}

async function numbers(losses: GeometryLosses): Promise<Record<string, number>> {
  const entries = Object.entries(losses) as [string, Tensor][];
  const read = async ([name, value]: [string, Tensor]) => [name, (await value.data())[0]!] as const;
  return Object.fromEntries(await Promise.all(entries.map(read)));
}

describe('losses of analytic maps', () => {
  it('has the known values with the default choices', async () => {
    const found = await analyticLosses({});
    const expected = {
      lossDepthRegression: 0.0649829416,
      lossDepthConfidence: -0.0097142202,
      lossDepthGradient: 0.0555108091,
      lossDepth: 0.1107795305,
      lossRayRegression: 0.086555757,
      lossRayConfidence: 0.0348818126,
      lossRay: 0.086555757 + 0.0348818126,
      lossPointRegression: 0.0714494252,
      lossPointConfidence: 0.0033439424,
      lossPointNormal: -0.0902751317,
      lossPoint: 0.0714494252 + 0.0033439424 - 0.0902751317,
    };
    expect(Object.keys(found).sort()).toEqual(Object.keys(expected).sort());
    for (const [name, value] of Object.entries(expected)) {
      expectAllclose([found[name]!], [value], { rtol: 1e-5, atol: 1e-6 });
    }
  });

  it('takes the mean squared error where asked', async () => {
    const { lossDepthRegression } = await analyticLosses({ regression: 'mse' });
    expectAllclose([lossDepthRegression!], [0.0051242459], CLOSE);
  });

  it('sums the norms of origin and direction where asked', async () => {
    const { lossRayRegression } = await analyticLosses({ rayNorm: 'split' });
    expectAllclose([lossRayRegression!], [0.122407847], CLOSE);
  });

  it.each([
    [{}, [-0.0128841058, 0.1147183607, 0.0549838684, 0.065225113]],
    [{ gradientConfidence: false }, [0.0973905807, 0.1409458504, 0.0940613423, 0.058693317]],
  ])('averages the gradient term over scales: %j', async (choices, perScale) => {
    for (let scales = 1; scales <= perScale.length; scales++) {
      const { lossDepthGradient } = await analyticLosses({ ...choices, gradientScales: scales });
      const sum = perScale.slice(0, scales).reduce((total, value) => total + value, 0);
      expectAllclose([lossDepthGradient!], [sum / scales], { rtol: 1e-5, atol: 1e-6 });
    }
  });

  it.each([
    [{ gradientLogMasked: false, gradientScales: 1 }, -0.1000892262],
    [{ gradientLogMasked: false }, -0.0118130988],
    [{ gradientCount: 'pairs', gradientScales: 1 } as const, -0.0177732042],
  ])('takes the gradient term as asked: %j', async (choices, expected) => {
    const { lossDepthGradient } = await analyticLosses(choices);
    expectAllclose([lossDepthGradient!], [expected], { rtol: 1e-5, atol: 1e-6 });
  });

  it('averages the normal term over scales', async () => {
    const perScale = [0.0429419757, 0.0271021537, 0.0090202109];
    for (let scales = 1; scales <= 3; scales++) {
      const choices = { normalConfidence: false, normalScales: scales };
      const sum = perScale.slice(0, scales).reduce((total, value) => total + value, 0);
      const { lossPointNormal } = await analyticLosses(choices);
      expectAllclose([lossPointNormal!], [sum / scales], { rtol: 1e-5, atol: 1e-7 });
    }
    const { lossPointNormal } = await analyticLosses({ normalScales: 1 });
    expectAllclose([lossPointNormal!], [-0.0546490094], { rtol: 1e-5, atol: 1e-6 });
  });

  it('drops a scale with fewer normals than the minimum', async () => {
    // The third scale has exactly 10 valid normals.
    const choices = { normalConfidence: false, normalMinimum: 11 };
    const { lossPointNormal } = await analyticLosses(choices);
    expectAllclose([lossPointNormal!], [(0.0429419757 + 0.0271021537) / 3], CLOSE);
  });

  it('makes the four normals of a pixel', async () => {
    const planes = [0, 1, 2].map((channel) =>
      map((s, y, x) => point(labelDepth)(s, y, x, channel)),
    ) as [Tensor, Tensor, Tensor];
    const found = await Promise.all(
      normals(planes).map((plane) => tf.slice(plane, [0, 0, 3, 4], [4, 1, 1, 1]).data()),
    );
    const expected = [
      [-0.5873035, -0.57344592, -0.76139538, -0.77217901],
      [-0.32982381, -0.38082562, -0.2930929, -0.25136151],
      [-0.73911491, -0.72534931, -0.57825049, -0.58357259],
    ];
    for (const [i, plane] of expected.entries()) {
      expectAllclose(found[i]!, plane, { rtol: 1e-5, atol: 1e-6 });
    }
  });

  it('weights the terms of eq. 5 and 6', async () => {
    const { lossDepth } = await analyticLosses({ termWeights: { gradient: 0, confidence: 2 } });
    expectAllclose([lossDepth!], [0.0649829416 - 2 * 0.0097142202], { rtol: 1e-5, atol: 1e-6 });
    const { weights } = lossConfigSchema.parse({ weights: { depth: 3 } });
    const total = totalLoss(weights, {
      text: tf.scalar(1),
      depth: tf.scalar(2),
      ray: undefined,
    });
    expectAllclose(await total.data(), [7]);
    expectAllclose(await totalLoss(weights, {}).data(), [0]);
  });
});

describe('weights of the pixels', () => {
  const config = lossConfigSchema.parse({ gradientScales: 2, normalScales: 2 });
  const weightedBy = (weight: Tensor, choices = config) => {
    const { predictions, labels } = analyticMaps();
    const weights = { depthWeight: weight, rayWeight: weight, pointWeight: weight };
    return numbers(geometryLosses(choices, predictions, { ...labels, ...weights }));
  };

  it('count once for a pixel, twice for a pair of neighbours and three times for a normal', async () => {
    const plain = await weightedBy(tf.ones([...SHAPE]));
    expect(plain).toEqual(await analyticLosses({ gradientScales: 2, normalScales: 2 }));
    const half = await weightedBy(tf.fill([...SHAPE], 0.5));
    for (const [name, value] of Object.entries(plain)) {
      const power = name.endsWith('Gradient') ? 2 : name.endsWith('Normal') ? 3 : 1;
      if (/(Regression|Confidence|Gradient|Normal)$/.test(name))
        expectAllclose([half[name]!], [value * 0.5 ** power], { rtol: 1e-5, atol: 1e-7 });
    }
  });

  it('of 0 leave out what the mask leaves out, with the counts of the others', async () => {
    const left = (s: number, y: number, x: number) => ((x + 2 * y + s) % 5 === 0 ? 0 : 1);
    const choices = { ...config, gradientScales: 1, normalScales: 1 };
    const found = await weightedBy(map(left), choices);
    const { predictions, labels } = analyticMaps();
    const masks = Object.fromEntries(
      (['mask', 'rayMask', 'pointMask'] as const).map((name) => [
        name,
        tf.mul(labels[name]!, map(left)),
      ]),
    );
    const masked = await numbers(geometryLosses(choices, predictions, { ...labels, ...masks }));
    const count = async (name: 'mask' | 'rayMask') => {
      const [all, kept] = [labels[name]!, masks[name]!].map((x) => tf.sum(x));
      return (await kept!.data())[0]! / (await all!.data())[0]!;
    };
    const [depth, ray] = [await count('mask'), await count('rayMask')];
    for (const term of ['Regression', 'Confidence', 'Gradient'])
      expectAllclose([found[`lossDepth${term}`]!], [masked[`lossDepth${term}`]! * depth], CLOSE);
    for (const term of ['Regression', 'Confidence'])
      expectAllclose([found[`lossRay${term}`]!], [masked[`lossRay${term}`]! * ray], CLOSE);
  });
});

describe('losses where nothing can be learnt', () => {
  const config = lossConfigSchema.parse({});
  const keys = ['depth', 'depthConfidence', 'rays', 'rayConfidence', 'points', 'pointConfidence'];

  async function valuesAndGradients(labels: GeometryTargets, choices = config) {
    const { predictions } = analyticMaps();
    const given = keys.map((key) => predictions[key as keyof GeometryPrediction]!);
    const { value, grads } = tf.valueAndGrads((...tensors: Tensor[]) => {
      const named = Object.fromEntries(keys.map((key, i) => [key, tensors[i]!]));
      const { lossDepth, lossRay, lossPoint } = geometryLosses(choices, named, labels);
      return tf.addN([lossDepth!, lossRay!, lossPoint!]);
    })(given);
    return { value: await value.data(), gradients: await Promise.all(grads.map((g) => g.data())) };
  }

  it('is 0 with zero gradients when no pixel is valid, even where labels are not numbers', async () => {
    const nothing = tf.zeros([...SHAPE]);
    const nan = (channels: number[]) => tf.fill([...SHAPE, ...channels], Number.NaN);
    const labels = {
      depth: nan([]),
      mask: nothing,
      rays: nan([6]),
      rayMask: nothing,
      points: nan([3]),
      pointMask: nothing,
    };
    for (const outlierQuantile of [null, 0.98]) {
      const choices = { ...config, outlierQuantile };
      const { value, gradients } = await valuesAndGradients(labels, choices);
      expect(value[0]).toBe(0);
      for (const gradient of gradients) expect(gradient.every((g) => Math.abs(g) === 0)).toBe(true);
    }
  });

  it('gives predictions no gradient where they equal the labels', async () => {
    const { predictions, labels } = analyticMaps();
    const { depth, rays, points } = predictions;
    const equal = { ...labels, depth: depth!, rays: rays!, points: points! };
    const choices = {
      ...config,
      normalScales: 1,
      termWeights: { ...config.termWeights, normal: 0 },
    };
    const { gradients } = await valuesAndGradients(equal, choices);
    for (const i of [0, 2, 4]) {
      expect(gradients[i]!.every((g) => Math.abs(g) === 0)).toBe(true);
    }
  });
});

describe('gradients by central differences', () => {
  it.each([1, 2, 3])('agrees along a random direction, seed %i', async (seed) => {
    const random = createRandom(seed);
    const { predictions, labels } = analyticMaps();
    const names = Object.keys(predictions);
    const values = Object.values(predictions) as Tensor[];
    const config = lossConfigSchema.parse({});
    const loss = (...given: Tensor[]) => {
      const named = Object.fromEntries(names.map((name, i) => [name, given[i]!]));
      const { lossDepth, lossRay, lossPoint } = geometryLosses(config, named, labels);
      return tf.addN([lossDepth!, lossRay!, lossPoint!]);
    };
    const directions = values.map((value) => tf.tensor(random.normals(value.size), value.shape));
    const at = async (h: number) => {
      const moved = values.map((value, i) => tf.add(value, tf.mul(directions[i]!, h)));
      return (await loss(...moved).data())[0]!;
    };
    const gradients = tf.grads(loss)(values);
    const inner = tf.addN(gradients.map((g, i) => tf.sum(tf.mul(g, directions[i]!))));
    const h = 1e-4;
    const difference = ((await at(h)) - (await at(-h))) / (2 * h);
    expectAllclose(await inner.data(), [difference], { rtol: 1e-2, atol: 2e-3 });
  });

  it('pulls the confidence towards λ / error', async () => {
    const error = 0.1;
    const one = (value: number) => tf.fill([1, 1, 1], value);
    const config = lossConfigSchema.parse({ termWeights: { gradient: 0 } });
    const loss = (confidence: Tensor) =>
      geometryLosses(
        config,
        { depth: one(1 + error), depthConfidence: confidence },
        { depth: one(1), mask: one(1) },
      ).lossDepth!;
    const slope = async (c: number) => (await tf.grad(loss)(one(c)).data())[0]!;
    expect(await slope(1.9)).toBeLessThan(0);
    expect(await slope(2.1)).toBeGreaterThan(0);
    expectAllclose([await slope(4)], [error - 0.2 / 4], { rtol: 1e-4 });
  });
});

describe('geometryLosses', () => {
  it('refuses labels of another size, naming both', () => {
    const { predictions, labels } = analyticMaps();
    const config = lossConfigSchema.parse({});
    const wrong = { ...labels, depth: tf.zeros([2, 4, 5]) };
    expect(() => geometryLosses(config, predictions, wrong)).toThrow(
      expect.objectContaining({ code: 'SHAPE_MISMATCH' }),
    );
    const { pointMask: _, ...lacking } = labels;
    expect(() => geometryLosses(config, predictions, lacking)).toThrow(
      expect.objectContaining({ code: 'SHAPE_MISMATCH' }),
    );
  });

  it('leaves out tasks that were not predicted', () => {
    const { predictions, labels } = analyticMaps();
    const { rays, rayConfidence } = predictions;
    const config = lossConfigSchema.parse({});
    const found = geometryLosses(config, { rays: rays!, rayConfidence: rayConfidence! }, labels);
    expect(Object.keys(found).sort()).toEqual([
      'lossRay',
      'lossRayConfidence',
      'lossRayRegression',
    ]);
  });
});
