import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { findBlock } from '../devices/kernel-choice/measure.js';
import { Session } from '../executor/index.js';
import { alwaysBlocked, BLOCKED_DOMAIN as BLOCKED } from '../graph/choice.js';
import { type Graph, sizeOf } from '../graph/graph.js';
import { compile, float32, ops, type Tensor, tf } from '../index.js';
import { seeded } from '../testing/compare.js';
import { inLayout, runGraph, worstOf } from '../testing/graphs.js';
import { trace } from '../trace/trace.js';

type Inputs = Record<'x' | 'weight' | 'bias', Tensor>;

/** A layer of blockable channels with its three gradients. */
const layer =
  (stride: number, padding: number) =>
  ({ x, weight, bias }: Inputs) => {
    const loss = (...[image, filter, offset]: Tensor[]) =>
      tf.sum(tf.square(ops.convolution(image!, filter!, offset, { stride, padding }))) as tf.Scalar;
    const [dx, dWeight, dBias] = tf.grads(loss)([x, weight, bias]) as [Tensor, Tensor, Tensor];
    return { y: ops.convolution(x, weight, bias, { stride, padding }), dx, dWeight, dBias };
  };

const specsOf = (image: readonly number[], weight: readonly number[]) => ({
  x: float32(...image),
  weight: float32(...weight),
  bias: float32(...(weight.length === 5 ? weight.slice(2, 4) : weight.slice(0, 1))),
});

const domains = (graph: Graph) => new Set(graph.nodes.map((node) => node.domain));

describe('the blocked layout', () => {
  it.each([
    [[2, 12, 13, 32], [16, 32, 3, 3], 1, 1],
    [[1, 37, 7, 16], [48, 16, 3, 3], 1, 1],
    [[2, 25, 24, 16], [32, 16, 3, 3], 2, 1],
    [[1, 20, 21, 16], [16, 16, 5, 3], 1, 0],
    [[2, 20, 17, 16], [8, 16, 3, 3], 1, 1],
    [[1, 21, 20, 8], [16, 8, 3, 3], 1, 1],
    [[2, 24, 22, 28], [20, 28, 3, 3], 2, 1],
    [[2, 24, 22, 16], [8, 16, 3, 3], 1, 1],
    [[1, 31, 29, 16], [16, 16, 5, 3], 1, 0],
    [[2, 17, 16, 32], [24, 32, 3, 3], 1, 1],
    [[1, 12, 31, 16], [16, 16, 3, 5], 1, 1],
    [[4, 12, 13, 32], [3, 3, 2, 16, 32], 1, 1],
    [[4, 16, 16, 8], [3, 3, 2, 16, 8], 1, 1],
    [[6, 18, 17, 16], [3, 3, 3, 8, 16], 1, 1],
    [[2, 25, 24, 16], [3, 3, 2, 32, 16], 2, 1],
  ] as const)('equals plain operators on %j, weight %j, stride %i', async (...layerCase) => {
    const [image, weight, stride, padding] = layerCase;
    const specs = specsOf(image, weight);
    const data = Object.fromEntries(
      Object.entries(specs).map(([name, { shape }]) => [name, seeded(sizeOf(shape), -0.5, 0.5)]),
    );
    const { block } = await findBlock();
    const blocked = trace(layer(stride, padding), specs, { choice: inLayout(block) }).graph;
    const plain = trace(layer(stride, padding), specs, { withoutCpuOperators: true }).graph;
    expect(domains(blocked).has(BLOCKED)).toBe(block !== undefined);
    expect([...domains(plain)]).toEqual(['']);
    const [found, expected] = [await runGraph(blocked, data), await runGraph(plain, data)];
    expected.forEach((values, output) => {
      expect(worstOf(found[output]!, values)).toBeLessThan(1e-5);
    });
  });

  it.each([
    ['corners aligned, larger', [1, 9, 7], [23, 18], true, false],
    ['corners aligned, twice', [2, 20, 24], [40, 48], true, false],
    ['corners aligned, smaller', [1, 20, 20], [5, 31], true, false],
    ['corners aligned, from one row', [1, 1, 300], [4, 300], true, false],
    ['half pixel centres', [1, 18, 17], [35, 40], false, true],
    ['neither', [1, 18, 17], [30, 40], false, false],
  ] as const)('resizes between convolutions: %s', async (_name, image, size, corners, centres) => {
    const [views, height, width] = image;
    const specs = { x: float32(views, height, width, 16), weight: float32(32, 16, 3, 3) };
    const resize = ({ x, weight }: Inputs) => {
      const first = tf.relu(ops.convolution(x, weight, undefined, { padding: 1 })) as tf.Tensor4D;
      const sized = tf.image.resizeBilinear(first, [...size], corners, centres);
      const back = tf.transpose(weight, [1, 0, 2, 3]);
      return { sized, y: ops.convolution(sized, back, undefined, { padding: 1 }) };
    };
    const data = Object.fromEntries(
      Object.entries(specs).map(([name, { shape }]) => [name, seeded(sizeOf(shape), -0.5, 0.5)]),
    );
    const { block } = await findBlock();
    const blocked = trace(resize, specs, { choice: inLayout(block) }).graph;
    expect(blocked.nodes.some(({ operator }) => operator === 'Resize')).toBe(block !== undefined);
    const plain = trace(resize, specs, { withoutCpuOperators: true }).graph;
    const [found, expected] = [await runGraph(blocked, data), await runGraph(plain, data)];
    const worst = expected.map((values, output) => worstOf(found[output]!, values));
    expect(Math.max(...worst)).toBeLessThan(2e-5);
  });

  it('leaves a resize with a gradient to products', async () => {
    const sized = ({ x }: Inputs) => ({
      dx: tf.grad((image) =>
        tf.sum(tf.square(tf.image.resizeBilinear(image as tf.Tensor4D, [40, 40], true))),
      )(x),
    });
    const { graph } = trace(sized, { x: float32(1, 20, 20, 16) }, { choice: alwaysBlocked(16) });
    expect(graph.nodes.some(({ operator }) => operator === 'Resize')).toBe(false);
  });

  it.each([
    ['would fill less than half of its blocks', 8, 8],
    ['are not whole fours', 30, 32],
  ])('is not used for channels that %s', (_case, outputs, inputs) => {
    const specs = specsOf([1, 20, 20, inputs], [outputs, inputs, 3, 3]);
    const { graph } = trace(layer(1, 1), specs, { choice: alwaysBlocked(16) });
    expect(domains(graph).has(BLOCKED)).toBe(false);
  });

  it('is entered at once by filters that lie in one stack', async () => {
    const specs = { x: float32(4, 12, 13, 16), stack: float32(9, 2 * 2 * 16 * 16) };
    const layers = ({ x, stack }: Record<'x' | 'stack', Tensor>) => {
      const loss = (...[image, filters]: Tensor[]) => {
        const [first, second] = tf
          .split(filters!, 2, 1)
          .map((part) => tf.reshape(part, [3, 3, 2, 16, 16]));
        const inner = ops.convolution(image!, first!, undefined, { padding: 1 });
        return tf.sum(tf.square(ops.convolution(inner, second!, undefined, { padding: 1 })));
      };
      const differentiated = tf.grads(loss as (...inputs: Tensor[]) => tf.Scalar);
      const [dx, dStack] = differentiated([x, stack]) as [Tensor, Tensor];
      return { dx, dStack };
    };
    const data = Object.fromEntries(
      Object.entries(specs).map(([name, { shape }]) => [name, seeded(sizeOf(shape), -0.1, 0.1)]),
    );
    const atOnce = trace(layers, specs, { choice: alwaysBlocked(16) }).graph;
    const moved = atOnce.nodes.filter(
      ({ operator, outputs }) =>
        operator === 'Gather' && sizeOf(outputs[0]!.shape) === sizeOf(specs.stack.shape),
    );
    expect(moved).toHaveLength(2);
    const { block } = await findBlock();
    const blocked = trace(layers, specs, { choice: inLayout(block) }).graph;
    const plain = trace(layers, specs, { withoutCpuOperators: true }).graph;
    const [found, expected] = [await runGraph(blocked, data), await runGraph(plain, data)];
    const worst = expected.map((values, output) => worstOf(found[output]!, values));
    expect(Math.max(...worst)).toBeLessThan(1e-5);
  });

  it('fills half-filled blocks with zeros that stay there', () => {
    const twice = ({ x, weight, bias }: Inputs) => {
      const inner = tf.relu(ops.convolution(x, weight, bias, { padding: 1 }));
      return {
        y: ops.convolution(inner, tf.transpose(weight, [1, 0, 2, 3]), undefined, { padding: 1 }),
      };
    };
    const { graph } = trace(twice, specsOf([1, 20, 20, 32], [8, 32, 3, 3]), {
      choice: alwaysBlocked(16),
    });
    const operators = graph.nodes.map(({ operator }) => operator);
    expect(operators.filter((operator) => operator === 'Conv')).toHaveLength(2);
    expect(operators.filter((operator) => operator.startsWith('Reorder'))).toHaveLength(2);
  });

  it('moves nothing where one block holds all channels, but gradients into planes', () => {
    const { graph } = trace(layer(1, 1), specsOf([1, 20, 20, 16], [16, 16, 3, 3]), {
      choice: alwaysBlocked(16),
    });
    expect(domains(graph).has(BLOCKED)).toBe(true);
    const moves = graph.nodes.filter(({ operator }) => operator.startsWith('Reorder'));
    expect(moves.map(({ operator }) => operator)).toEqual(['ReorderOutput']);
    expect(moves[0]!.attributes['channels_last']).toBe(0);
  });

  it('takes images of the gradient as filters: no pixels are gathered, nothing is copied', () => {
    const { graph } = trace(layer(1, 1), specsOf([2, 18, 32, 16], [16, 16, 3, 3]), {
      choice: alwaysBlocked(16),
    });
    const operators = graph.nodes.filter(
      ({ outputs }) => sizeOf(outputs[0]!.shape) >= 2 * 18 * 32 * 16,
    );
    const copies = ['Gather', 'Pad', 'Transpose', 'Concat', 'MatMul'];
    expect(
      operators.map(({ operator }) => operator).filter((name) => copies.includes(name)),
    ).toEqual([]);
  });

  it('is not used for what constants alone decide, which is computed before the first run', () => {
    const domainsOf = (program: (inputs: Inputs) => Tensor) => {
      const specs = specsOf([1, 20, 20, 16], [16, 16, 3, 3]);
      const asked = (inputs: Inputs) => ({ y: program(inputs) });
      const { graph } = trace(asked, specs, { choice: alwaysBlocked(16) });
      return domains(graph);
    };
    const image = () => tf.tensor(seeded(20 * 20 * 16, -1, 1), [1, 20, 20, 16]);
    const filter = () => tf.tensor(seeded(16 * 16 * 9, -1, 1), [16, 16, 3, 3]);
    const convolve = (x: Tensor, w: Tensor) => ops.convolution(x, w, undefined, { padding: 1 });
    expect(domainsOf(() => convolve(image(), filter())).has(BLOCKED)).toBe(false);
    expect(domainsOf((inputs) => convolve(image(), inputs.weight)).has(BLOCKED)).toBe(true);
    expect(domainsOf(({ x }) => convolve(x, filter())).has(BLOCKED)).toBe(true);
  });

  it('is not used for few pixels, where one product is faster', () => {
    const { graph } = trace(layer(1, 1), specsOf([1, 16, 16, 16], [16, 16, 3, 3]), {
      choice: alwaysBlocked(16),
    });
    expect(graph.nodes.some(({ operator }) => operator === 'Conv')).toBe(false);
  });

  it('stays out of saved graphs, which other machines read', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'convolution-'));
    const file = path.join(folder, 'layer.onnx');
    const compiled = await compile(layer(1, 1), specsOf([1, 20, 20, 16], [16, 16, 3, 3]));
    await compiled.save(file);
    await compiled.dispose();
    expect((await readFile(file)).includes(BLOCKED)).toBe(false);
    const session = await Session.create(file, { provider: 'cpu' });
    expect(session.inputs.map(({ name }) => name)).toEqual(['x', 'weight', 'bias']);
    session.dispose();
    await rm(folder, { recursive: true });
  });
});

describe('filters that take turns', () => {
  it('refuse a last turn that is not whole', () => {
    expect(() => trace(layer(1, 1), specsOf([3, 4, 4, 2], [3, 3, 2, 4, 2]))).toThrow(
      expect.objectContaining({
        code: 'PROGRAM_INVALID',
        message: expect.stringContaining('expected a multiple of 2 images, found 3'),
      }),
    );
  });
});

describe('index tables', () => {
  it('are shared by layers of one geometry', () => {
    const twice = ({ x, weight, bias }: Inputs) => {
      const loss = (filter: Tensor) => {
        const inner = ops.convolution(x, filter, bias, { padding: 1 });
        return tf.sum(tf.square(ops.convolution(inner, filter, bias, { padding: 1 }))) as tf.Scalar;
      };
      return { gradient: tf.grad(loss)(weight) };
    };
    const { graph } = trace(twice, specsOf([2, 12, 12, 16], [16, 16, 3, 3]));
    const tables = graph.nodes
      .filter(({ operator }) => operator === 'Gather')
      .map((node) => node.inputs[1]!.name);
    expect(tables).toHaveLength(6);
    expect(new Set(tables).size).toBe(3);
  });
});
