import { compile, type DeviceTensor, float32, type Tensor, tf } from '@spatialsv/engine';
import { expectAllclose } from '../testing/allclose.js';
import { filled } from '../testing/filled.js';
import { type ParameterScope, parameterScope } from './parameter-scope.js';
import { groupsOfViews, jointVisionBlock, viewsOfGroups, visionBlock } from './vision-block.js';
import {
  DINO_NAMES,
  dinoBlock,
  type Shapes,
  type VisionBlockConfig,
  type VisionBlockNames,
  visionBlockShapes,
} from './vision-config.js';
import { rotary2d } from './vision-positions.js';

beforeAll(() => tf.setBackend('cpu'));

const tensor = (name: string, shape: readonly number[]): Tensor =>
  tf.tensor(filled(name, shape), [...shape]);

const parametersOf = (shapes: Shapes): Record<string, Tensor> =>
  Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, tensor(name, shape)]));

const width = 16;
const positions = [0, 0, 1, 1, 1, 2, 2, 1, 2, 2];
const HALVES = { base: 100, form: 'halves' } as const;
const HEAD = { base: 10000, form: 'head' } as const;

const SPLIT: VisionBlockNames = {
  ...DINO_NAMES.block,
  qkv: { q: 'q_proj', k: 'k_proj', v: 'v_proj' },
  scale1: 'lambda_1',
  scale2: 'lambda_2',
  mlp: { gate: 'gate_proj', up: 'up_proj', down: 'down_proj' },
};
const FUSED_GATE: VisionBlockNames = {
  ...DINO_NAMES.block,
  mlp: { up: 'mlp.w12', down: 'mlp.w3' },
};

const dino = dinoBlock(width, 2, 1e-6);
const rms: VisionBlockConfig = {
  width,
  heads: 2,
  norm: { kind: 'rms', epsilon: 1e-6 },
  qkvBias: false,
  layerScale: false,
  mlp: { hidden: 24, activation: 'silu', gated: true },
};
const qkNorm = { kind: 'layer', epsilon: 1e-5 } as const;

/** Every form that a block can take, by what is special about it. */
const FORMS: readonly (readonly [string, VisionBlockConfig, VisionBlockNames])[] = [
  ['plain', dino, DINO_NAMES.block],
  ['q/k norm', { ...dino, qkNorm }, DINO_NAMES.block],
  ['q/k rms norm', { ...dino, qkNorm: { kind: 'rms', epsilon: 1e-6 } }, DINO_NAMES.block],
  ['gated, gate | up', { ...dino, mlp: { ...rms.mlp, hidden: 8 } }, FUSED_GATE],
  ['rms, gated, split qkv without bias', rms, SPLIT],
  ['split qkv with bias, scales', { ...rms, qkvBias: true, layerScale: true }, SPLIT],
  ['tanh', { ...dino, mlp: { ...dino.mlp, activation: 'gelu-tanh' } }, DINO_NAMES.block],
  ['quick', { ...dino, mlp: { ...dino.mlp, activation: 'quick-gelu' } }, DINO_NAMES.block],
];

// ---------------------------------------------------------------------------------------------- direct composition

const norm = (x: Tensor, scope: ParameterScope, { kind, epsilon }: VisionBlockConfig['norm']) => {
  const centred = kind === 'layer' ? tf.sub(x, tf.mean(x, -1, true)) : x;
  const deviation = tf.sqrt(tf.add(tf.mean(tf.square(centred), -1, true), epsilon));
  const scaled = tf.mul(tf.div(centred, deviation), scope.get('weight'));
  return kind === 'layer' ? tf.add(scaled, scope.get('bias')) : scaled;
};

const linear = (x: Tensor, scope: ParameterScope) => {
  const [outputs, inputs] = scope.get('weight').shape as [number, number];
  const rows = tf.reshape(x, [-1, inputs]) as tf.Tensor2D;
  const product = tf.matMul(rows, scope.get('weight') as tf.Tensor2D, false, true);
  const y = tf.reshape(product, [...x.shape.slice(0, -1), outputs]);
  return scope.has('bias') ? tf.add(y, scope.get('bias')) : y;
};

const ACTIVATIONS: Record<VisionBlockConfig['mlp']['activation'], (x: Tensor) => Tensor> = {
  gelu: (x) => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.div(x, Math.SQRT2)), 1)),
  'gelu-tanh': (x) => {
    const inner = tf.mul(tf.add(x, tf.mul(tf.pow(x, 3), 0.044715)), Math.sqrt(2 / Math.PI));
    return tf.mul(tf.mul(x, 0.5), tf.add(tf.tanh(inner), 1));
  },
  'quick-gelu': (x) => tf.div(x, tf.add(tf.exp(tf.mul(x, -1.702)), 1)),
  silu: (x) => tf.div(x, tf.add(tf.exp(tf.neg(x)), 1)),
};

/** One head of one sequence (T, hd), without rotary positions. */
const attend = (q: Tensor, k: Tensor, v: Tensor) => {
  const scores = tf.matMul(q as tf.Tensor2D, k as tf.Tensor2D, false, true);
  return tf.matMul(tf.softmax(tf.div(scores, Math.sqrt(q.shape[1]!))), v as tf.Tensor2D);
};

/** What a block computes, without rotary positions, written out for one sequence (T, C). */
const direct = (
  config: VisionBlockConfig,
  names: VisionBlockNames,
  scope: ParameterScope,
  x: Tensor,
) => {
  const scaled = (name: string, y: Tensor) => (config.layerScale ? tf.mul(y, scope.get(name)) : y);
  const normed = norm(x, scope.scope(names.norm1), config.norm);
  const { qkv } = names;
  const [q, k, v] =
    typeof qkv === 'string'
      ? (tf.split(linear(normed, scope.scope(qkv)), 3, -1) as [Tensor, Tensor, Tensor])
      : ([qkv.q, qkv.k, qkv.v].map((name) => linear(normed, scope.scope(name))) as Tensor[]);
  const headNorm = (y: Tensor, name: string) =>
    config.qkNorm ? norm(y, scope.scope(name), config.qkNorm) : y;
  const heads = [0, 1].map((head) => {
    const part = (y: Tensor) => tf.split(y, 2, -1)[head]!;
    return attend(headNorm(part(q!), names.qNorm), headNorm(part(k!), names.kNorm), part(v!));
  });
  const projected = linear(tf.concat(heads, 1), scope.scope(names.projection));
  const middle = tf.add(x, scaled(names.scale1, projected));
  const inner = norm(middle, scope.scope(names.norm2), config.norm);
  const { activation, gated } = config.mlp;
  const up = linear(inner, scope.scope(names.mlp.up));
  const [gate, value] = !gated
    ? [up, undefined]
    : names.mlp.gate === undefined
      ? tf.split(up, 2, -1)
      : [linear(inner, scope.scope(names.mlp.gate)), up];
  const active = ACTIVATIONS[activation](gate!);
  const hidden = value ? tf.mul(active, value) : active;
  return tf.add(middle, scaled(names.scale2, linear(hidden, scope.scope(names.mlp.down))));
};

describe('visionBlock', () => {
  it.each(FORMS)('computes what its parts say: %s', (_, config, names) => {
    const scope = parameterScope(parametersOf(visionBlockShapes(config, names)));
    const x = tensor('x', [2, 5, width]);
    const expected = tf.stack(
      tf.unstack(x).map((sequence) => direct(config, names, scope, sequence)),
    );
    const found = visionBlock(config, scope, x, { names });
    expectAllclose(found.dataSync(), expected.dataSync(), { rtol: 1e-5, atol: 1e-5 });
  });

  it('attends within segments as it does within sequences of their own', () => {
    const scope = parameterScope(parametersOf(visionBlockShapes(rms, SPLIT)));
    const [four, two] = [tensor('four', [2, 4, width]), tensor('two', [1, 2, width])];
    const joined = tf.concat([tf.reshape(four, [1, 8, width]), two], 1);
    const segments = [
      { count: 2, tokens: 4 },
      { count: 1, tokens: 2 },
    ];
    const found = visionBlock(rms, scope, joined, { names: SPLIT, segments });
    const apart = [four, two].map((x) => visionBlock(rms, scope, x, { names: SPLIT }));
    const expected = tf.concat([tf.reshape(apart[0]!, [1, 8, width]), apart[1]!], 1);
    expectAllclose(found.dataSync(), expected.dataSync(), { atol: 1e-6 });
  });

  it('gives many tokens, whose perceptron works in groups of rows, what it gives few', () => {
    const scope = parameterScope(parametersOf(visionBlockShapes(dino)));
    const many = tensor('x', [700, 5, width]); // three groups, cut inside of sequences
    const few = (first: number) => tf.slice(many, [first, 0, 0], [350, 5, width]);
    const found = visionBlock(dino, scope, many);
    const expected = tf.concat(
      [visionBlock(dino, scope, few(0)), visionBlock(dino, scope, few(350))],
      0,
    );
    expect(found.shape).toEqual(many.shape);
    expectAllclose(found.dataSync(), expected.dataSync(), { atol: 1e-6 });
  });

  it.each(
    FORMS.flatMap((form, i) => [[`${form[0]}, ${i % 2 === 0 ? 'halves' : 'head'}`, i] as const]),
  )('gives compiled what it gives step by step: %s', async (_, index) => {
    const [, config, names] = FORMS[index]!;
    const shapes = visionBlockShapes(config, names);
    const parameters = parametersOf(shapes);
    const x = tensor('x', [3, 5, width]);
    const block = (inputs: { parameters: Record<string, Tensor>; x: Tensor }) => {
      const rotary = rotary2d(positions, width / config.heads, index % 2 === 0 ? HALVES : HEAD);
      return {
        y: visionBlock(config, parameterScope(inputs.parameters), inputs.x, { names, rotary }),
      };
    };
    const expected = block({ parameters, x }).y.dataSync() as Float32Array;
    const specs = Object.fromEntries(
      Object.entries(shapes).map(([name, shape]) => [name, float32(...shape)]),
    );
    const program = await compile(block as never, { parameters: specs, x: float32(3, 5, width) });
    const host = (value: Tensor) => value.dataSync() as Float32Array;
    const values = Object.fromEntries(
      Object.entries(parameters).map(([name, value]) => [name, host(value)]),
    );
    const outputs = await program.run({ parameters: values, x: host(x) });
    const { y } = outputs as { y: DeviceTensor };
    expectAllclose((await y.read()) as Float32Array, expected, { rtol: 1e-5, atol: 1e-5 });
    await program.dispose();
  });

  it.each([
    ['split qkv with bias, scales', HEAD, 'q_proj.weight'],
    ['split qkv with bias, scales', HEAD, 'gate_proj.weight'],
    ['split qkv with bias, scales', HEAD, 'lambda_1'],
    ['rms, gated, split qkv without bias', HEAD, 'norm1.weight'],
    ['q/k rms norm', HALVES, 'attn.qkv.weight'],
    ['gated, gate | up', HALVES, 'mlp.w12.weight'],
    ['quick', HALVES, 'mlp.fc1.weight'],
    ['tanh', HALVES, 'mlp.fc1.weight'],
  ] as const)(
    'has the derivative that central differences show: %s, %o, %s',
    (form, rotary, name) => {
      const [, config, names] = FORMS.find(([title]) => title === form)!;
      const parameters = parametersOf(visionBlockShapes(config, names));
      const x = tensor('x', [1, 5, width]);
      const tables = rotary2d(positions, width / config.heads, rotary);
      const segments = [
        { count: 1, tokens: 3 },
        { count: 1, tokens: 2 },
      ];
      const loss = (value: Tensor) => {
        const scope = parameterScope({ ...parameters, [name]: value });
        const y = visionBlock(config, scope, x, { names, rotary: tables, segments });
        return tf.mean(tf.square(y)) as tf.Scalar;
      };
      const weight = parameters[name]!;
      for (const seed of [1, 2, 3]) {
        const direction = tf.randomNormal(weight.shape, 0, 1, 'float32', seed);
        const at = (step: number) => loss(tf.add(weight, tf.mul(direction, step))).dataSync()[0]!;
        const central = (step: number) => (at(step) - at(-step)) / (2 * step);
        // Two steps together: the error that grows with the square of the step cancels out.
        const numeric = (4 * central(1e-2) - central(2e-2)) / 3;
        const analytic = tf.sum(tf.mul(tf.grad(loss)(weight), direction)).dataSync()[0]!;
        expect(Math.abs(numeric - analytic)).toBeLessThan(
          1e-2 * Math.max(Math.abs(analytic), 1e-2),
        );
      }
    },
  );
});

describe('jointVisionBlock', () => {
  const config = { ...dino, qkNorm };
  const scope = parameterScope(parametersOf(visionBlockShapes(config)));
  const rotary = rotary2d(positions, width / 2, HALVES);

  it.each([[[3]], [[1, 1, 1]], [[2, 1]]])('attends to groups of %j views at once', (sizes) => {
    const x = tensor('x', [3, 5, width]);
    const repeated = rotary2d([...positions, ...positions, ...positions], width / 2, HALVES);
    const sequence = tf.reshape(x, [1, 15, width]);
    const expected = visionBlock(config, scope, sequence, { rotary: repeated }).dataSync();
    const groups = tf.split(x, sizes, 0);
    const found = jointVisionBlock(config, scope, groups, { rotary });
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
