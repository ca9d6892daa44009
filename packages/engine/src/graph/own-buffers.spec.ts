import { allocatedBlock, runGraph } from '../testing/graphs.js';
import { Graph, type Value } from './graph.js';
import { memoryPlan } from './memory-plan.js';
import { separateBuffers } from './own-buffers.js';

const SIZE = 128;
const BYTES = 4 * SIZE * SIZE;
const square = { shape: [SIZE, SIZE], dtype: 'float32' } as const;
const column = { shape: [SIZE, 1], dtype: 'float32' } as const;
const WIDTH = 2;
const wide = { shape: [SIZE, WIDTH * SIZE], dtype: 'float32' } as const;

/** Two operators on squares, two on matrices WIDTH times as wide, two on squares again. */
function withGap(operate: (graph: Graph, x: Value) => Value): Graph {
  const graph = new Graph();
  const x = graph.input('x', square);
  const sum = (value: Value) => graph.add('ReduceSum', [value, graph.int64([1])], column);
  const before = graph.add('Sin', [operate(graph, x)], square);
  const middle = graph.add('Sin', [graph.expand(sum(before), wide.shape)], wide);
  const after = operate(graph, graph.add('Mul', [x, sum(middle)], square));
  graph.output('y', graph.add('Sin', [after], square));
  return graph;
}

const OPERATIONS: Readonly<Record<string, (graph: Graph, x: Value) => Value>> = {
  'an elementwise operator of one input': (graph, x) => graph.add('Cos', [x], square),
  'an elementwise operator of two': (graph, x) => graph.add('Mul', [graph.scalar(0.1), x], square),
  'a product': (graph, x) =>
    graph.add('FusedMatMul', [x, x], square, {
      domain: 'com.microsoft',
      attributes: { transA: 0, transB: 1, alpha: { float: 0.01 } },
    }),
};

const x = Float32Array.from({ length: SIZE * SIZE }, (_, i) => Math.sin(i + 1));

describe('buffers that lie idle at the peak', () => {
  it.each(Object.entries(OPERATIONS))('are free then behind %s', async (_, operate) => {
    const [plain, apart] = [withGap(operate), withGap(operate)];
    separateBuffers(apart);
    expect(memoryPlan(plain).bytes).toBeGreaterThan((2 * WIDTH + 2) * BYTES);
    expect(memoryPlan(apart).bytes).toBeLessThan((2 * WIDTH + 1.1) * BYTES);
    expect(await allocatedBlock(apart)).toBe(memoryPlan(apart).bytes);
    expect(await runGraph(apart, { x })).toEqual(await runGraph(plain, { x }));
  });

  it('are left where an operator cannot have one more axis', () => {
    const graph = withGap((made, value) => made.add('Gemm', [value, value], square));
    const shapesOf = () =>
      graph.nodes
        .filter(({ operator }) => operator === 'Gemm')
        .map(({ outputs }) => outputs[0]!.shape);
    separateBuffers(graph);
    expect(shapesOf()).toEqual([square.shape, square.shape]);
  });
});
