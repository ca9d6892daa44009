import { findBlock } from '../devices/kernel-choice/measure.js';
import { type Graph, sizeOf } from '../graph/graph.js';
import { float32, ops, type Tensor, tf } from '../index.js';
import { seeded } from '../testing/compare.js';
import { inLayout, runGraph, worstOf } from '../testing/graphs.js';
import { trace } from '../trace/trace.js';

type Inputs = Record<'x' | 'gate' | 'up' | 'down', Tensor>;

const SPECS = {
  x: float32(300, 32),
  gate: float32(64, 32),
  up: float32(64, 32),
  down: float32(32, 64),
};

const perceptron = (activate: (inputs: Inputs) => Tensor) => (inputs: Inputs) => ({
  y: ops.linear(activate(inputs), inputs.down),
});

const count = (graph: Graph, operator: string) =>
  graph.nodes.filter((node) => node.operator === operator).length;

describe('a perceptron in the blocked layout', () => {
  it.each<[string, (inputs: Inputs) => Tensor]>([
    ['GELU', ({ x, up }) => ops.gelu(ops.linear(x, up))],
    ['GELU by tanh', ({ x, up }) => ops.geluTanh(ops.linear(x, up))],
    ['quick GELU', ({ x, up }) => ops.quickGelu(ops.linear(x, up))],
    ['a gate', ({ x, gate, up }) => tf.mul(ops.silu(ops.linear(x, gate)), ops.linear(x, up))],
  ])('stays in it between its products: %s', async (_name, activate) => {
    const data = Object.fromEntries(
      Object.entries(SPECS).map(([name, { shape }]) => [name, seeded(sizeOf(shape), -0.5, 0.5)]),
    );
    const { block } = await findBlock();
    const plain = trace(perceptron(activate), SPECS, { withoutCpuOperators: true }).graph;
    const blocked = trace(perceptron(activate), SPECS, { choice: inLayout(block) }).graph;
    // What is not read is not part of the file that runs.
    expect(count(blocked, 'Conv')).toBe(block === undefined ? 0 : count(plain, 'Gemm'));
    const [found, expected] = [await runGraph(blocked, data), await runGraph(plain, data)];
    expect(worstOf(found[0]!, expected[0]!)).toBeLessThan(1e-5);
    const leaving = blocked.nodes.filter(({ operator }) => operator === 'ReorderOutput');
    const read = leaving.filter(({ outputs: [value] }) => isRead(blocked, value!.name));
    expect(read).toHaveLength(block === undefined ? 0 : 1);
  });
});

/** Whether a node or output needs a value, reshapes among it followed. */
function isRead(graph: Graph, name: string): boolean {
  if (graph.outputs.some(({ value }) => value.name === name)) return true;
  const readers = graph.nodes.filter(({ inputs }) => inputs.some((input) => input?.name === name));
  return readers.some(({ outputs }) => outputs.some((output) => isRead(graph, output.name)));
}
