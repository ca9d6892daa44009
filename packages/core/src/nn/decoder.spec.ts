import { sizeOf, type Tensor, tf } from '@spatialsv/engine';
import { decodeSequence, embedSequence } from '../decoding/index.js';
import { SpatialError } from '../errors.js';
import type { DecoderSite, LayerCacheV1, Parameters } from '../spec.js';
import { createDecoder } from './decoder.js';
import { type DecoderConfig, type DecoderNames, decoderShapes } from './decoder-config.js';

const names: DecoderNames = { model: 'model', head: 'lm_head.weight' };
const config: DecoderConfig = {
  hiddenSize: 12,
  layers: 3,
  heads: 4,
  kvHeads: 2,
  headDim: 6,
  intermediateSize: 10,
  vocabularySize: 17,
  rmsNormEps: 1e-6,
  qkvBias: true,
  qkNorm: true,
  tieHead: false,
  rope: { theta: 1e4 },
};

const decoder = createDecoder(config, names);

const randomParameters = (c: DecoderConfig) =>
  Object.fromEntries(
    Object.entries(decoderShapes(c, names)).map(([name, shape], i) => [
      name,
      tf.randomNormal([...shape], 0, 0.4, 'float32', i + 1) as Tensor,
    ]),
  );

const positions = (from: number, count: number) =>
  tf.tensor2d([Array.from({ length: count }, (_, i) => from + i)], [1, count], 'int32');

const largestDifference = (a: Tensor, b: Tensor) => tf.max(tf.abs(tf.sub(a, b))).dataSync()[0]!;

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe('decoder', () => {
  const embeddings = tf.randomNormal([7, 12], 0, 1, 'float32', 99);

  it('keeps the asked layers, with entry L after the norm', () => {
    const parameters = randomParameters(config);
    const inputs = { embeddings, positions: positions(0, 7) };
    const out = decodeSequence(decoder, parameters, inputs, {
      taps: ['embedding', 'layer:2', 'final'],
      last: true,
    });
    expect(Object.keys(out.hidden)).toEqual(['embedding', 'layer:2', 'final']);
    expect(largestDifference(out.hidden.embedding!, embeddings)).toBe(0);
    expect(largestDifference(out.hidden.final!, out.last!)).toBe(0);
    expect(out.cache[0]!.keys.shape).toEqual([2, 7, 6]);
    expect(decoder.logits(parameters, out.last!).shape).toEqual([7, 17]);
  });

  it('runs no block above the highest tap', () => {
    const parameters = randomParameters(config);
    for (const name of Object.keys(parameters)) {
      if (name.startsWith('model.layers.2') || name === 'model.norm.weight')
        delete parameters[name];
    }
    const inputs = { embeddings, positions: positions(0, 7) };
    const out = decodeSequence(decoder, parameters, inputs, {
      taps: ['layer:1', 'layer:2'],
      last: false,
    });
    expect(out.cache).toHaveLength(2);
    expect(out.last).toBeUndefined();
  });

  it('is causal', () => {
    const parameters = randomParameters(config);
    const changed = tf.concat([tf.slice(embeddings, [0, 0], [6, 12]), tf.ones([1, 12])], 0);
    const run = (x: Tensor) =>
      decodeSequence(
        decoder,
        parameters,
        { embeddings: x, positions: positions(0, 7) },
        { taps: [], last: true },
      ).last!;
    const [a, b] = [run(embeddings), run(changed)];
    expect(largestDifference(tf.slice(a, [0, 0], [6, 12]), tf.slice(b, [0, 0], [6, 12]))).toBe(0);
    expect(largestDifference(a, b)).toBeGreaterThan(1e-3);
  });

  it.each([1, 2])('gives the same with a cache filled %i tokens at a time', (step) => {
    const parameters = randomParameters(config);
    const whole = decodeSequence(
      decoder,
      parameters,
      { embeddings, positions: positions(3, 7) },
      { taps: [], last: true },
    ).last!;
    let cache: readonly LayerCacheV1[] = Array.from({ length: 3 }, () => ({
      keys: tf.zeros([2, 9, 6]),
      values: tf.zeros([2, 9, 6]),
    }));
    for (let slot = 0; slot + step <= 7; slot += step) {
      const rows = tf.slice(embeddings, [slot, 0], [step, 12]);
      const cacheSlot = tf.scalar(slot, 'int32');
      const inputs = { embeddings: rows, positions: positions(3 + slot, step), cache, cacheSlot };
      const out = decodeSequence(decoder, parameters, inputs, { taps: [], last: true });
      cache = out.cache;
      const expected = tf.slice(whole, [slot, 0], [step, 12]);
      expect(largestDifference(out.last!, expected)).toBeLessThan(1e-5);
    }
  });

  it('refuses unknown taps and dynamic scaling beyond its plain range', () => {
    const inputs = { embeddings, positions: positions(0, 7) };
    const parameters = randomParameters(config);
    const code = (run: () => unknown) => {
      try {
        run();
      } catch (error) {
        return SpatialError.isInstance(error) ? error.code : 'other';
      }
      return 'none';
    };
    for (const tap of ['layer:-1', 'layer:0', 'layer:3', 'layer:4', 'layer:1.5'] as DecoderSite[]) {
      expect(
        code(() => decodeSequence(decoder, parameters, inputs, { taps: [tap], last: false })),
      ).toBe('TAP_UNKNOWN');
    }
    const scaling = { kind: 'dynamic', factor: 2, maxPositions: 6 } as const;
    const dynamic = createDecoder({ ...config, rope: { theta: 1e4, scaling } }, names);
    expect(code(() => decodeSequence(dynamic, parameters, inputs, { taps: [], last: true }))).toBe(
      'CONFIG_INVALID',
    );
    delete parameters['model.layers.1.mlp.up_proj.weight'];
    expect(() => decodeSequence(decoder, parameters, inputs, { taps: [], last: true })).toThrow(
      'model.layers.1.mlp.up_proj.weight',
    );
  });

  it('has the derivative that central differences show', () => {
    const parameters = randomParameters(config);
    const name = 'model.layers.0.self_attn.k_proj.weight';
    const loss = (weight: Tensor) =>
      tf.mean(
        tf.square(
          decodeSequence(
            decoder,
            { ...parameters, [name]: weight },
            { embeddings, positions: positions(0, 7) },
            { taps: ['layer:2'], last: false },
          ).hidden['layer:2']!,
        ),
      ) as tf.Scalar;
    const weight = parameters[name]!;
    for (const seed of [1, 2, 3]) {
      const direction = tf.randomNormal(weight.shape, 0, 1, 'float32', seed);
      const step = 5e-3;
      const plus = loss(tf.add(weight, tf.mul(direction, step))).dataSync()[0]!;
      const minus = loss(tf.sub(weight, tf.mul(direction, step))).dataSync()[0]!;
      const numeric = (plus - minus) / (2 * step);
      const analytic = tf.sum(tf.mul(tf.grad(loss)(weight), direction)).dataSync()[0]!;
      expect(Math.abs(numeric - analytic)).toBeLessThan(1e-2 * Math.max(Math.abs(analytic), 1e-2));
    }
  });
});

describe('low-rank updates of a decoder', () => {
  it('are those of merged weights, in value and gradient, on every layer that has one', () => {
    const parameters = randomParameters(config);
    const inputs = {
      embeddings: tf.randomNormal([5, 12], 0, 1, 'float32', 9),
      positions: positions(0, 5),
    };
    const at = 'model.layers.1.mlp.down_proj';
    const down = tf.randomNormal([2, 10], 0, 1, 'float32', 21);
    const up = tf.randomNormal([12, 2], 0, 1, 'float32', 22);
    const update = { [`${at}.lora_A.weight`]: down, [`${at}.lora_scale`]: tf.scalar(0.5) };
    const sum = (p: Parameters): tf.Scalar =>
      tf.sum(decodeSequence(decoder, p, inputs, { taps: [], last: true }).last!);
    const apart = (b: Tensor) => sum({ ...parameters, ...update, [`${at}.lora_B.weight`]: b });
    const merged = (b: Tensor) => {
      const product = tf.matMul(b as tf.Tensor2D, down as tf.Tensor2D);
      const weight = tf.add(parameters[`${at}.weight`]!, tf.mul(product, 0.5));
      return sum({ ...parameters, [`${at}.weight`]: weight });
    };
    expect(largestDifference(apart(up), merged(up))).toBeLessThan(1e-4);
    expect(largestDifference(apart(up), sum(parameters))).toBeGreaterThan(1e-2);
    expect(largestDifference(tf.grad(apart)(up), tf.grad(merged)(up))).toBeLessThan(1e-4);
  });
});

describe('embedSequence', () => {
  it('replaces placeholder rows in order', () => {
    const table = tf.reshape(tf.range(0, 12), [4, 3]);
    const visual = tf.tensor2d([
      [100, 101, 102],
      [200, 201, 202],
    ]);
    const ids = tf.tensor1d([3, 0, 0, 1], 'int32');
    const splice = tf.tensor1d([0, 4, 5, 3], 'int32');
    const parameters = { 'model.embed_tokens.weight': table };
    const tensors = { inputIds: ids, spliceIndex: splice, visualRows: visual };
    const out = embedSequence(decoder, parameters, tensors);
    expect(out.arraySync()).toEqual([
      [9, 10, 11],
      [100, 101, 102],
      [200, 201, 202],
      [3, 4, 5],
    ]);
  });
});

describe('decoderShapes', () => {
  const count = (c: DecoderConfig, skipHead: boolean) =>
    Object.entries(decoderShapes(c, names))
      .filter(([name]) => !(skipHead && name === names.head))
      .reduce((sum, [, shape]) => sum + sizeOf(shape), 0);

  it.each([
    // hidden, layers, heads, kv, hd, intermediate, vocabulary, bias, norm, parameters without the head
    [2048, 36, 16, 2, 128, 11008, 151936, true, false, 3_085_938_688],
    [3584, 28, 28, 4, 128, 18944, 152064, true, false, 7_070_619_136],
    [2560, 36, 32, 8, 128, 9728, 151936, false, true, 4_022_468_096],
    [4096, 36, 32, 8, 128, 12288, 151936, false, true, 7_568_405_504],
    [4096, 32, 32, 32, 128, 11008, 32064, false, false, 6_607_605_760],
    [896, 24, 14, 2, 64, 4864, 151674, true, false, 493_798_016],
    [1536, 28, 12, 2, 128, 8960, 151674, true, false, 1_543_311_872],
  ] as const)('counts the published decoder of width %i and %i layers', (...row) => {
    const [hiddenSize, layers, heads, kvHeads, headDim, intermediateSize, vocabularySize] = row;
    const shape = { hiddenSize, layers, heads, kvHeads, headDim, intermediateSize };
    const rest = { qkvBias: row[7], qkNorm: row[8], tieHead: false, rmsNormEps: 1e-6 };
    const full = { ...shape, ...rest, vocabularySize, rope: { theta: 1e6 } };
    expect(count(full, true)).toBe(row[9]);
  });
});
