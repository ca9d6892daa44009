import {
  compile,
  type DeviceTensor,
  float32,
  int32,
  ops,
  type Program,
  type Tensor,
  tf,
} from '../index.js';
import type { MappedTensor, SpecTree } from '../specs.js';
import {
  compileCase,
  type Given,
  isFilled,
  type Numbers,
  seeded,
  values,
} from '../testing/compare.js';
import { FUSED } from '../testing/fused-cases.js';
import { differentiatedInputs, GROUPS } from '../testing/kernel-cases.js';
import { tinySpecs, tinyStep } from '../testing/tiny-decoder.js';
import { trace } from '../trace/trace.js';
import type { Graph, GraphTarget, Node, Value } from './graph.js';
import { type NarrowType, PRODUCTS } from './precision-table.js';

const TYPES = [
  { type: 'bfloat16', digits: 8, smallest: -126 },
  { type: 'float16', digits: 11, smallest: -14 },
] as const;
type Format = (typeof TYPES)[number];

/** To the nearest number with so many binary digits, to the even one of two. */
function round(x: number, { digits, smallest }: Format): number {
  if (x === 0) return x;
  const exponent = Math.max(Math.floor(Math.log2(Math.abs(x))), smallest);
  const step = 2 ** (exponent - digits + 1);
  const below = Math.floor(x / step);
  const rest = x / step - below;
  const isUp = rest > 0.5 || (rest === 0.5 && below % 2 !== 0);
  return (isUp ? below + 1 : below) * step;
}

async function valuesOf(
  program: (inputs: Record<string, Tensor>) => Tensor,
  data: Record<string, [shape: number[], data: Float32Array]>,
  precision: NarrowType | 'float32',
): Promise<Float32Array> {
  const specs = Object.fromEntries(
    Object.entries(data).map(([name, [shape]]) => [name, float32(...shape)]),
  );
  const whole = (inputs: Record<string, Tensor>) => ({ y: program(inputs) });
  const compiled = await compile(whole, specs, { precision });
  const given = Object.fromEntries(Object.entries(data).map(([name, [, array]]) => [name, array]));
  const { y } = (await compiled.run(given)) as { y: DeviceTensor };
  const read = Float32Array.from((await y.read()) as Float32Array);
  await compiled.dispose();
  return read;
}

describe.each(TYPES)('a program in $type on the CPU', (format) => {
  const { type } = format;
  const [rows, inner, columns] = [3, 7, 5];
  const x = seeded(rows * inner);
  const w = seeded(columns * inner);
  const bias = seeded(columns);

  it('rounds factors, and the sum once', async () => {
    const found = await valuesOf(
      (inputs) => ops.linear(inputs['x']!, inputs['w']!, inputs['bias']!),
      { x: [[rows, inner], x], w: [[columns, inner], w], bias: [[columns], bias] },
      type,
    );
    const expected = Array.from({ length: rows * columns }, (_, place) => {
      const [row, column] = [Math.floor(place / columns), place % columns];
      let sum = round(bias[column]!, format);
      for (let k = 0; k < inner; k += 1) {
        sum += round(x[row * inner + k]!, format) * round(w[column * inner + k]!, format);
      }
      return round(sum, format);
    });
    expect([...found]).toEqual(expected);
  });

  it('keeps the residual stream, to which products are added', async () => {
    const stream = seeded(rows * columns);
    const data: Parameters<typeof valuesOf>[1] = {
      x: [[rows, inner], x],
      w: [[columns, inner], w],
    };
    const product = (inputs: Record<string, Tensor>) => ops.linear(inputs['x']!, inputs['w']!);
    const alone = await valuesOf(product, data, type);
    const sum = await valuesOf(
      (inputs) => tf.add(inputs['stream']!, product(inputs)),
      { ...data, stream: [[rows, columns], stream] },
      type,
    );
    expect([...sum]).toEqual([...stream].map((value, i) => Math.fround(value + alone[i]!)));
  });

  it('computes norms, softmax, rotary positions and losses as in float32', async () => {
    const program = ({ x: rowsOf, scale, cos, sin }: Record<string, Tensor>) => {
      const norm = ops.layerNorm(ops.rmsNorm(rowsOf!, scale!, 1e-6), scale!, scale!, 1e-5);
      const turned = ops.rotary(tf.reshape(norm, [1, rows, 8]), cos!, sin!);
      const chosen = tf.softmax(tf.reshape(turned, [rows, 8]));
      return ops.crossEntropySum(chosen, tf.tensor1d([1, 0, 2], 'int32'), tf.ones([rows]));
    };
    const data: Parameters<typeof valuesOf>[1] = {
      x: [[rows, 8], seeded(rows * 8)],
      scale: [[8], seeded(8, 0.5, 1.5)],
      cos: [[rows, 4], seeded(rows * 4)],
      sin: [[rows, 4], seeded(rows * 4)],
    };
    expect(await valuesOf(program, data, type)).toEqual(await valuesOf(program, data, 'float32'));
  });

  it.each(FUSED.filter(([name]) => /linear|product|attention/.test(name)))(
    '%s and its gradients are near those of float32',
    async (...row) => {
      const [, program, given] = row;
      const by = differentiatedInputs(row);
      const outputs = [];
      for (const precision of [type, 'float32'] as const) {
        const compiled = await compileCase(program, given, by, { precision });
        outputs.push(await compiled.at(0, undefined));
        await compiled.dispose();
      }
      const [found, expected] = outputs;
      const errors = [
        distance(found!.value, expected!.value),
        ...by.map((i) => distance(found!.gradients[i]!, expected!.gradients[i]!)),
      ];
      // Half a unit in the last place of each factor and of the result, in several products one after the other.
      expect(errors[0]).toBeGreaterThan(0);
      expect(Math.max(...errors)).toBeLessThan(4 * 2 ** -format.digits);
    },
  );
});

/** ‖a − b‖ / ‖b‖. */
const distance = ({ data }: Numbers, { data: expected }: Numbers): number =>
  Math.hypot(...expected.map((x, i) => x - data[i]!)) / Math.hypot(...expected);

const GPU: GraphTarget = { withoutCpuOperators: true, precision: 'bfloat16' };

const castsTo = (graph: Graph, dtype: Value['dtype']): Node[] =>
  graph.nodes.filter(({ operator, outputs }) => operator === 'Cast' && outputs[0]!.dtype === dtype);

const graphOf = (program: unknown, specs: SpecTree, target = GPU): Graph =>
  trace(program as Program, specs, target).graph;

describe('a graph in 16 bits for a GPU', () => {
  it('casts nothing back and forth between two products', () => {
    const graph = graphOf(tinyStep, tinySpecs);
    const widened = new Set(castsTo(graph, 'float32').map(({ outputs }) => outputs[0]!));
    const narrowed = castsTo(graph, 'bfloat16').map(({ inputs }) => inputs[0]!);
    expect(narrowed.filter((value) => widened.has(value))).toEqual([]);
    expect(new Set(narrowed).size).toBe(narrowed.length);
  });

  it('keeps a part in float32 that asks for it, backward too, and no more', () => {
    const program = ({ x, w, v }: Record<string, Tensor>) =>
      tf.grads((a: Tensor, b: Tensor, c: Tensor) => {
        const inner = ops.inFloat32(() => ops.linear(ops.linear(a, b), b));
        return tf.sum(tf.square(ops.linear(inner, c)));
      })([x!, w!, v!]);
    const graph = graphOf(program, { x: float32(3, 4), w: float32(4, 4), v: float32(4, 4) });
    const products = graph.nodes.filter(({ operator }) => operator in PRODUCTS);
    const dtypes = products.map(({ outputs }) => outputs[0]!.dtype);
    // Two linear layers with two gradients each inside; one outside.
    expect(dtypes.filter((dtype) => dtype === 'float32')).toHaveLength(6);
    expect(dtypes.filter((dtype) => dtype === 'bfloat16')).toHaveLength(3);
  });

  it('computes every product of a step in 16 bits but for the means of norms, and nothing else', () => {
    const graph = graphOf(tinyStep, tinySpecs);
    const products = graph.nodes.filter(({ operator }) => operator in PRODUCTS);
    const inFloat32 = products.filter(({ outputs }) => outputs[0]!.dtype === 'float32');
    expect(products.length - inFloat32.length).toBe(30);
    expect(new Set(inFloat32.map(({ operation }) => operation))).toEqual(
      new Set(['RmsNormGradient', 'LayerNormGradient']),
    );
    const narrow = graph.nodes.filter(
      ({ operator, outputs }) => outputs[0]!.dtype === 'bfloat16' && operator !== 'Cast',
    );
    expect(new Set(narrow.map(({ operator }) => operator))).toEqual(
      new Set(['Gemm', 'MatMul', 'Reshape', 'Transpose']),
    );
  });

  it('gives float32', () => {
    const graph = graphOf(tinyStep, tinySpecs);
    expect(new Set(graph.outputs.map(({ value }) => value.dtype))).toEqual(new Set(['float32']));
  });

  const stored = (storedAs: MappedTensor['storedAs']): SpecTree => ({
    w: { kind: 'weight', shape: [4, 6], storedAs },
    x: float32(2, 6),
  });
  const project = ({ x, w }: Record<string, Tensor>) => ({ y: ops.linear(x!, w!) });

  it.each([
    ['BF16', 'bfloat16', 0],
    ['F16', 'float16', 0],
    ['F16', 'bfloat16', 1],
    ['F32', 'bfloat16', 1],
  ] as const)('takes a weight stored as %s in %s after %d casts', (storedAs, precision, casts) => {
    const graph = graphOf(project, stored(storedAs), { ...GPU, precision });
    const reading = graph.nodes.filter(({ inputs }) => inputs.some((value) => value?.name === 'w'));
    expect(reading.map(({ operator }) => operator)).toEqual([casts === 0 ? 'Gemm' : 'Cast']);
    expect(castsTo(graph, 'float32')).toHaveLength(1);
  });

  it('takes a weight in bfloat16 as float16 where a device has that alone, without a cast in the program', () => {
    const target = { ...GPU, precision: 'float16', narrowWeightsAs: 'float16' } as const;
    const graph = graphOf(project, stored('BF16'), target);
    expect(graph.inputs.find(({ name }) => name === 'w')!.dtype).toBe('float16');
    expect(castsTo(graph, 'float16').map(({ inputs }) => inputs[0]!.name)).toEqual(['x']);
  });

  it('moves elements between products in 16 bits, and casts what several products read once', () => {
    const program = ({ x, w }: Record<string, Tensor>) => {
      const heads = tf.transpose(tf.reshape(ops.linear(x!, w!), [2, 3, 2]), [1, 0, 2]);
      const scores = tf.matMul(heads, heads, false, true);
      const halves = tf.split(tf.exp(scores), 2, 1) as Tensor[];
      return { y: tf.matMul(halves[0]!, heads), z: tf.matMul(halves[1]!, heads) };
    };
    const graph = graphOf(program, { x: float32(2, 6), w: float32(6, 6) });
    expect(castsTo(graph, 'bfloat16')).toHaveLength(3);
    expect(castsTo(graph, 'float32')).toHaveLength(3);
  });

  it('casts of a cache only the part that is read', () => {
    const program = ({ cache, x }: Record<string, Tensor>) => ({
      y: tf.matMul(tf.slice(cache!, [0, 0], [4, 6]), x!),
    });
    const graph = graphOf(program, { cache: float32(64, 6), x: float32(6, 2) });
    expect(castsTo(graph, 'bfloat16').map(({ inputs }) => inputs[0]!.shape)).toEqual([
      [4, 6],
      [6, 2],
    ]);
  });

  it('keeps interpolation and sums in float32', () => {
    const program = ({ x }: Record<string, Tensor>) => ({
      y: tf.image.resizeBilinear(x as tf.Tensor4D, [8, 8]),
      z: ops.resizeBicubic(x!, [9, 9]),
      sum: tf.sum(tf.reshape(x!, [16, 4096]), 0),
    });
    const graph = graphOf(program, { x: float32(1, 4, 4, 4096) });
    expect(graph.nodes.filter(({ operator }) => operator in PRODUCTS).length).toBeGreaterThan(4);
    expect(castsTo(graph, 'bfloat16')).toEqual([]);
  });

  it('keeps convolutions in float32 where their operator set would take others from the GPU', () => {
    const convolve = (x: Tensor, w: Tensor) => tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, 1, 0);
    const specs = { x: float32(1, 6, 6, 3), w: float32(3, 3, 3, 4) };
    const alone = ({ x, w }: Record<string, Tensor>) => ({ y: convolve(x!, w!) });
    const pooled = ({ x, w }: Record<string, Tensor>) => ({
      y: tf.maxPool(convolve(x!, w!) as tf.Tensor4D, 2, 2, 0),
    });
    const isNarrow = (program: unknown, precision: NarrowType) =>
      graphOf(program, specs, { ...GPU, precision }).nodes.some(
        ({ operator, outputs }) => operator === 'Conv' && outputs[0]!.dtype === precision,
      );
    expect(isNarrow(alone, 'bfloat16')).toBe(true);
    expect(isNarrow(pooled, 'bfloat16')).toBe(false);
    expect(isNarrow(pooled, 'float16')).toBe(true);
  });

  it('is that of float32 where there is no product', () => {
    const others = GROUPS.filter(([name]) => name !== 'matrices' && name !== 'convolutions');
    const changed = others.flatMap(([, table]) =>
      table.flatMap(([name, program, given]) => {
        const specs = given.map((input) => specOf(input));
        const run = (inputs: Record<string, Tensor>) => ({ y: program(...Object.values(inputs)) });
        const graph = graphOf(run, Object.fromEntries(specs.map((spec, i) => [`x${i}`, spec])));
        const isProduct = graph.nodes.some(({ operator }) => operator in PRODUCTS);
        return castsTo(graph, 'bfloat16').length > 0 && !isProduct ? [name] : [];
      }),
    );
    expect(changed).toEqual([]);
  });
});

const specOf = (given: Given) =>
  isFilled(given) && given.values instanceof Int32Array
    ? int32(...given.shape)
    : float32(...values(given).shape);

describe('gradients in float16', () => {
  it('hold what is smaller than its smallest number', async () => {
    const loss = ({ w, x }: Record<'w' | 'x', Tensor>) => ({
      loss: tf.sum(tf.mul(ops.linear(x, w), 1e-9)),
    });
    const specs = { w: float32(2, 3), x: float32(4, 3) };
    const compiled = await compile(loss, specs, {
      gradients: ['w'],
      precision: 'float16',
    });
    const x = new Float32Array(12).fill(0.5);
    const result = (await compiled.run({ w: new Float32Array(6), x })) as {
      gradients: { w: DeviceTensor };
    };
    for (const value of (await result.gradients.w.read()) as Float32Array) {
      expect(value / 2e-9).toBeCloseTo(1, 2);
    }
    await compiled.dispose();
  });
});

describe('a precision', () => {
  const compileIn = (precision: string, device = 'cpu') =>
    compile(
      ({ x }: Record<string, Tensor>) => ({ y: tf.matMul(x!, x!) }),
      {
        x: float32(2, 2),
      },
      { device, precision: precision as 'float32' },
    );

  it('that there is not is refused', async () => {
    await expect(compileIn('half')).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      message: 'Unknown precision "half": expected one of float32, bfloat16, float16.',
    });
  });

  it('of 16 bits is refused on eager devices', async () => {
    await expect(compileIn('bfloat16', 'tfjs-cpu')).rejects.toMatchObject({
      code: 'DEVICE_UNAVAILABLE',
      message: expect.stringContaining('"tfjs-cpu" cannot compute in bfloat16'),
    });
  });
});
