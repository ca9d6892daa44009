import { compile, type DeviceTensor, float32, type Tensor, tf } from '@spatialsv/engine';
import { createRandom } from '../random.js';
import { expectAllclose } from '../testing/allclose.js';
import { parameterScope } from './parameter-scope.js';
import {
  groupsOfViews,
  jointVisionBlock,
  patchEmbedding,
  resamplePositionEmbedding,
  rotary2d,
  type VisionBlockConfig,
  viewsOfGroups,
  visionBlock,
} from './vision-transformer.js';

beforeAll(() => tf.setBackend('cpu'));

const random = (seed: number, shape: readonly number[]): Tensor => {
  const source = createRandom(seed);
  const size = shape.reduce((product, length) => product * length, 1);
  return tf.tensor(
    Float32Array.from({ length: size }, () => source.uniform(-0.5, 0.5)),
    [...shape],
  );
};

const blockShapes = (width: number, config: VisionBlockConfig): Record<string, number[]> => ({
  'norm1.weight': [width],
  'norm1.bias': [width],
  'attn.qkv.weight': [3 * width, width],
  'attn.qkv.bias': [3 * width],
  'attn.q_norm.weight': [width / config.heads],
  'attn.q_norm.bias': [width / config.heads],
  'attn.k_norm.weight': [width / config.heads],
  'attn.k_norm.bias': [width / config.heads],
  'attn.proj.weight': [width, width],
  'attn.proj.bias': [width],
  'ls1.gamma': [width],
  'norm2.weight': [width],
  'norm2.bias': [width],
  ...(config.mlp === 'gelu'
    ? {
        'mlp.fc1.weight': [2 * width, width],
        'mlp.fc1.bias': [2 * width],
        'mlp.fc2.weight': [width, 2 * width],
        'mlp.fc2.bias': [width],
      }
    : {
        'mlp.w12.weight': [2 * width, width],
        'mlp.w12.bias': [2 * width],
        'mlp.w3.weight': [width, width],
        'mlp.w3.bias': [width],
      }),
  'ls2.gamma': [width],
});

describe('visionBlock', () => {
  const width = 16;
  const positions = [0, 0, 1, 1, 1, 2, 2, 1, 2, 2];
  it.each<VisionBlockConfig>([
    { heads: 2, epsilon: 1e-6, mlp: 'gelu' },
    { heads: 2, epsilon: 1e-5, qkNormEpsilon: 1e-5, mlp: 'gelu' },
    { heads: 4, epsilon: 1e-6, qkNormEpsilon: 1e-5, mlp: 'swiglu' },
  ])('gives compiled what it gives step by step: %o', async (config) => {
    const shapes = blockShapes(width, config);
    const parameters = Object.fromEntries(
      Object.entries(shapes).map(([name, shape], seed) => [name, random(seed, shape)]),
    );
    const x = random(99, [3, 5, width]);
    const block = (inputs: { parameters: Record<string, Tensor>; x: Tensor }) => ({
      y: visionBlock(
        config,
        parameterScope(inputs.parameters),
        inputs.x,
        rotary2d(positions, width / config.heads, 100),
      ),
    });
    const expected = block({ parameters, x }).y.dataSync() as Float32Array;
    const specs = Object.fromEntries(
      Object.entries(shapes).map(([name, shape]) => [name, float32(...shape)]),
    );
    const program = await compile(block as never, { parameters: specs, x: float32(3, 5, width) });
    const host = (tensor: Tensor) => tensor.dataSync() as Float32Array;
    const values = Object.fromEntries(
      Object.entries(parameters).map(([name, tensor]) => [name, host(tensor)]),
    );
    const outputs = await program.run({ parameters: values, x: host(x) });
    const { y } = outputs as unknown as { y: DeviceTensor };
    expectAllclose((await y.read()) as Float32Array, expected, { rtol: 1e-5, atol: 1e-5 });
    await program.dispose();
  });
});

describe('jointVisionBlock', () => {
  const width = 16;
  const config = { heads: 2, epsilon: 1e-6, qkNormEpsilon: 1e-5, mlp: 'gelu' } as const;
  const parameters = parameterScope(
    Object.fromEntries(
      Object.entries(blockShapes(width, config)).map(([name, shape], seed) => [
        name,
        random(seed, shape),
      ]),
    ),
  );
  const positions = [0, 0, 1, 1, 1, 2, 2, 1, 2, 2];
  const rotary = rotary2d(positions, width / config.heads, 100);

  it.each([[[3]], [[1, 1, 1]], [[2, 1]]])('attends to groups of %j views at once', (sizes) => {
    const x = random(99, [3, 5, width]);
    const repeated = rotary2d([...positions, ...positions, ...positions], width / 2, 100);
    const sequence = tf.reshape(x, [1, 15, width]);
    const expected = visionBlock(config, parameters, sequence, repeated).dataSync();
    const groups = tf.split(x, sizes, 0);
    const found = jointVisionBlock(config, parameters, groups, rotary);
    expect(found.map(({ shape }) => shape)).toEqual(sizes.map((size) => [size, 5, width]));
    const joined = viewsOfGroups(found).dataSync() as Float32Array;
    expectAllclose(joined, expected as Float32Array, { rtol: 1e-5, atol: 1e-6 });
  });
});

describe('groupsOfViews', () => {
  it.each([
    [1, 1041, [1]],
    [4, 1041, [1, 1, 1, 1]],
    [5, 500, [2, 2, 1]],
    [4, 256, [4]],
    [20, 1400, [3, 3, 3, 3, 3, 3, 2]],
  ])('cuts %i views of %i tokens into %j', (views, tokens, sizes) => {
    const x = tf.range(0, views * tokens).reshape([views, tokens, 1]);
    const groups = groupsOfViews(x);
    expect(groups.map(({ shape }) => shape[0])).toEqual(sizes);
    expect([...viewsOfGroups(groups).dataSync()]).toEqual([...x.dataSync()]);
  });
});

describe('rotary2d', () => {
  it('turns the first half of the channels by the row, the second by the column', () => {
    const { cos, sin } = rotary2d([2, 3], 16, 100);
    // Values 0, 0.1 … 1.5 at row 2, column 3; from the reference in float64.
    const q = Array.from({ length: 16 }, (_, i) => i / 10);
    const [c, s] = [cos.dataSync(), sin.dataSync()];
    const turned = [0, 1].flatMap((half) => {
      const at = (k: number) => q[8 * half + k]!;
      const table = (values: ArrayLike<number>, k: number) => values[4 * half + k]!;
      const first = [0, 1, 2, 3].map((k) => at(k) * table(c, k) - at(k + 4) * table(s, k));
      const second = [0, 1, 2, 3].map((k) => at(k + 4) * table(c, k) + at(k) * table(s, k));
      return [...first, ...second];
    });
    // biome-ignore format: a row per half and quarter
    expectAllclose(turned, [
      -0.36371897, -0.21490572, 0.07681172, 0.25515782,
      -0.16645873, 0.46240192, 0.62777381, 0.71756149,
      -0.96133801, -0.53196526, 0.54160818, 0.95296457,
      -1.07509499, 1.48896372, 1.6329913, 1.5974537,
    ], { atol: 1e-6 });
  });
});

describe('resamplePositionEmbedding', () => {
  const table = random(7, [1, 10, 4]);
  const grid = (h: number, w: number, kind: 'antialiased' | 'offset') =>
    resamplePositionEmbedding(
      table,
      { h, w },
      kind === 'offset' ? { kind, offset: 0.1 } : { kind },
    ).dataSync();

  it.each(['antialiased', 'offset'] as const)(
    'keeps the learnt grid at its own size: %s',
    (kind) => {
      expect([...grid(3, 3, kind)]).toEqual([...table.dataSync()].slice(4));
    },
  );

  it.each(['antialiased', 'offset'] as const)(
    'keeps a constant constant at any size: %s',
    (kind) => {
      const flat = tf.ones([1, 10, 4]);
      const method = kind === 'offset' ? ({ kind, offset: 0.1 } as const) : ({ kind } as const);
      for (const size of [
        { h: 2, w: 5 },
        { h: 7, w: 3 },
      ]) {
        const values = resamplePositionEmbedding(flat, size, method).dataSync();
        expectAllclose(values, Array(size.h * size.w * 4).fill(1), { atol: 1e-6 });
      }
    },
  );
});

describe('patchEmbedding', () => {
  it('is the convolution that its weight describes', () => {
    const images = random(1, [2, 6, 4, 3]);
    const [weight, bias] = [random(2, [5, 3, 2, 2]), random(3, [5])];
    const layer = parameterScope({ weight, bias });
    const filter = tf.transpose(weight, [2, 3, 1, 0]) as tf.Tensor4D;
    const expected = tf.add(tf.conv2d(images as tf.Tensor4D, filter, 2, 'valid'), bias);
    const patches = patchEmbedding(layer, images);
    expect(patches.shape).toEqual([2, 6, 5]);
    expectAllclose(patches.dataSync(), expected.dataSync(), { atol: 1e-5 });
  });
});
