import { float32, ops, type Tensor, tf } from '../index.js';
import { trace } from '../trace/trace.js';
import type { Graph } from './graph.js';
import { type Stages, stagesOf } from './stages.js';

/** Wider than one chunk. */
const WIDE = 1056;
const stored = { kind: 'weight', shape: [WIDE, WIDE], storedAs: 'BF16' } as const;

/** Two products of one input, and a third one of both results. */
const program = ({ x, a, b, c, norm }: Record<string, Tensor>) => {
  const scaled = tf.mul(x!, norm!);
  const both = tf.add(tf.relu(ops.linear(scaled, a!)), ops.linear(scaled, b!));
  return { both, y: tf.add(ops.linear(both, c!), x!) };
};

const specs = { x: float32(1, WIDE), norm: float32(WIDE), a: stored, b: stored, c: stored };
const graphOf = (): Graph => trace(program, specs).graph;

const operators = (stages: Stages): string[][][] =>
  stages.map((stage) => stage.map(({ nodes }) => nodes.map(({ operator }) => operator)));

describe('the stages of a graph', () => {
  it('are by turns what runs in order and what is dealt, each with what depends on weights alone', () => {
    const one = ['Cast', 'Gemm'];
    expect(
      operators(stagesOf(graphOf(), 2)).map((stage) => stage.map((each) => each.toSorted())),
    ).toEqual([
      [['Mul']],
      [
        ['Cast', 'Cast', 'Gemm', 'Gemm'],
        ['Cast', 'Cast', 'Gemm', 'Gemm'],
      ],
      [['Add', 'Concat', 'Concat', 'Relu']],
      [one, one],
      [['Add', 'Concat']],
    ]);
  });

  it('deal to as many pieces as there is work for', () => {
    const widths = stagesOf(graphOf(), 3).map((stage) => stage.length);
    expect(widths).toEqual([1, 3, 1, 2, 1]);
  });

  it('read what they do not make, and give what others read', () => {
    const stages = stagesOf(graphOf(), 2);
    const known = new Set(graphOf().inputs.map(({ name }) => name));
    for (const stage of stages) {
      for (const { inputs } of stage) for (const { name } of inputs) expect(known).toContain(name);
      for (const { outputs } of stage) for (const { name } of outputs) known.add(name);
    }
    for (const { name } of graphOf().outputs) expect(known).toContain(name);
  });

  it('are one piece where nothing is dealt', () => {
    const graph = trace(({ x }: { x: Tensor }) => ({ y: tf.relu(x) }), {
      x: float32(2),
    }).graph;
    expect(operators(stagesOf(graph, 2))).toEqual([[['Relu']]]);
  });
});
