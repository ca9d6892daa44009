import { leftOutFor, targetNamed } from '../devices/executor-device.js';
import { allocatedBlock } from '../testing/graphs.js';
import { tinySpecs, tinyStep } from '../testing/tiny-decoder.js';
import { trace } from '../trace/trace.js';
import { Graph, type Value } from './graph.js';
import { memoryPlan } from './memory-plan.js';
import { saveMemory } from './save-memory.js';

const SIZE = 64;
const square = { shape: [SIZE, SIZE], dtype: 'float32' } as const;
const wide = { shape: [SIZE, 4 * SIZE], dtype: 'float32' } as const;
const KIB = 1024;

/** Results of (64, 64), which take 16 KiB, on both sides of two of (64, 256). */
function withGap(): Graph {
  const graph = new Graph();
  const x = graph.input('x', square);
  const before = graph.add('Exp', [graph.add('Exp', [x], square)], square);
  const column = { shape: [SIZE, 1], dtype: 'float32' } as const;
  const sum = graph.add('ReduceSum', [before, graph.int64([1])], column);
  const middle = graph.add('Exp', [graph.expand(sum, wide.shape)], wide);
  const after = graph.add(
    'Exp',
    [graph.add('Mul', [x, graph.add('ReduceSum', [middle, graph.int64([1])], column)], square)],
    square,
  );
  graph.output('y', graph.add('Exp', [after], square));
  return graph;
}

/** A chain of which some operators write over their input. */
function inPlace(): Graph {
  const graph = new Graph();
  const first = graph.add('Exp', [graph.input('x', square)], square);
  const over = graph.add('Softmax', [graph.add('Sigmoid', [first], square)], square);
  const view = graph.reshape(over, [1, SIZE * SIZE]);
  const flat = { shape: [1, SIZE * SIZE], dtype: 'float32' } as const;
  graph.output('y', graph.add('Neg', [graph.add('Tanh', [view], flat)], flat));
  return graph;
}

/** A result that is read again after it could have been written over. */
function readTwice(): Graph {
  const graph = new Graph();
  const first = graph.add('Exp', [graph.input('x', square)], square);
  const second = graph.add('Sigmoid', [first], square);
  graph.output('y', graph.add('Add', [first, second], square));
  return graph;
}

/** Gaps of 64 KiB and, behind it, of 15 KiB, of which a result of 14 KiB takes the smaller one, and one of 56 KiB then the other. */
function twoGaps(): Graph {
  const graph = new Graph();
  const typed = (...shape: number[]) => ({ shape, dtype: 'float32' }) as const;
  const sum = (x: Value, axis: number, ...shape: number[]) =>
    graph.add('ReduceSum', [x, graph.int64([axis])], typed(...shape));
  const mul = (a: Value, b: Value, ...shape: number[]) => graph.add('Mul', [a, b], typed(...shape));
  const large = graph.add('Exp', [graph.input('x', wide)], wide);
  const first = sum(large, 1, 64, 1);
  const small = mul(first, graph.input('row', typed(1, 64)), 64, 64);
  const second = sum(small, 1, 64, 1);
  // Reads `large` behind `small`, so that both have left a gap then.
  const both = graph.add('MatMul', [graph.reshape(second, [1, 64]), large], typed(1, 256));
  const part = graph.add(
    'Slice',
    [both, graph.int64([0]), graph.int64([56]), graph.int64([1])],
    typed(1, 56),
  );
  const smaller = mul(first, part, 64, 56);
  const larger = mul(graph.reshape(both, [256, 1]), sum(smaller, 0, 1, 56), 256, 56);
  const factor = sum(sum(larger, 0, 1, 56), 1, 1, 1);
  graph.output('y', mul(mul(smaller, factor, 64, 56), second, 64, 56));
  return graph;
}

const tinyGraph = () => trace(tinyStep, tinySpecs, targetNamed()).graph;

describe('the plan of memory', () => {
  it.each([
    [
      'holds what one result has left for the next of its shape',
      withGap,
      2 * 16 * KIB + 2 * 64 * KIB + KIB / 4,
    ],
    ['writes over an input that nothing else reads', inPlace, 16 * KIB],
    ['keeps an input that is read again', readTwice, 2 * 16 * KIB],
    ['takes the smallest gap that is large enough', twoGaps, 80.5 * KIB],
  ])('%s, as a session does', async (_, build, bytes) => {
    expect(memoryPlan(build()).bytes).toBe(bytes);
    expect(await allocatedBlock(build())).toBe(bytes);
  });

  it('is that of a session for a training step, also where results are computed again', async () => {
    expect(await allocatedBlock(tinyGraph())).toBe(memoryPlan(tinyGraph()).bytes);
    const graph = tinyGraph();
    saveMemory(graph);
    expect(await allocatedBlock(graph)).toBe(memoryPlan(graph).bytes);
  });

  it('is nearly that of a session that fuses operators', async () => {
    const graph = tinyGraph();
    saveMemory(graph);
    const ratio =
      (await allocatedBlock(graph, 'all', leftOutFor('cpu', true))) / memoryPlan(graph).bytes;
    expect(Math.abs(ratio - 1)).toBeLessThan(0.03);
  });
});
