import { differentiate } from '../differentiate.js';
import { sizeOf } from '../graph/graph.js';
import { memoryPlan } from '../graph/memory-plan.js';
import { attention } from '../ops/attention.js';
import { float32 } from '../specs.js';
import { runGraph, worstOf } from '../testing/graphs.js';
import { type Tensor, tf } from '../tfjs.js';
import { trace } from '../trace/trace.js';

interface Shape {
  readonly heads: number;
  readonly kvHeads: number;
  readonly rows: number;
  readonly keys?: number;
  readonly width?: number;
  readonly valueWidth?: number;
  readonly causal?: boolean;
  readonly mask?: readonly number[];
}
type Inputs = Readonly<Record<'queries' | 'keys' | 'values', Tensor>> & { readonly mask?: Tensor };

function specsOf({ heads, kvHeads, rows, keys = rows, width = 8, valueWidth = 8, mask }: Shape) {
  return {
    queries: float32(heads, rows, width),
    keys: float32(kvHeads, keys, width),
    values: float32(kvHeads, keys, valueWidth),
    ...(mask && { mask: float32(...mask) }),
  };
}

/** Attention and its gradients by everything that is trained. */
const program =
  ({ causal = false }: Shape) =>
  ({ mask, ...trained }: Inputs) => {
    const { outputs, gradients } = differentiate(
      ({ queries, keys, values }) => {
        const y = attention(queries!, keys!, values!, { scale: 0.4, causal, mask });
        return { loss: tf.sum(tf.mul(y, tf.sin(y))), y };
      },
      { ...trained },
    );
    return { y: outputs['y']!, ...gradients };
  };

/** Sums of up to 520 products in another order. */
const TOLERANCE = 3e-5;

/** As a device writes it that computes attention in one kernel, and plainly. */
function graphsOf(shape: Shape) {
  const graph = (fusesAttention: boolean) =>
    trace(program(shape), specsOf(shape), {
      withoutCpuOperators: true,
      fusesAttention,
    }).graph;
  return { fused: graph(true), plain: graph(false) };
}

const operators = ({ nodes }: ReturnType<typeof trace>['graph']) =>
  nodes.map(({ operator }) => operator);
const count = (graph: ReturnType<typeof trace>['graph'], wanted: string) =>
  operators(graph).filter((operator) => operator === wanted).length;

const wave = (shape: readonly number[], pace: number): Float32Array =>
  Float32Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(pace * i + 1));

describe('attention in one kernel', () => {
  it.each<[string, Shape, number]>([
    ['of one tile', { heads: 2, kvHeads: 2, rows: 256 }, 1],
    ['with grouped heads', { heads: 6, kvHeads: 2, rows: 33, keys: 260, valueWidth: 16 }, 1],
    ['of a causal sequence', { heads: 4, kvHeads: 2, rows: 263, causal: true }, 4],
    ['with a mask', { heads: 4, kvHeads: 2, rows: 20, keys: 256, mask: [20, 256] }, 1],
    ['with a mask of a row', { heads: 4, kvHeads: 2, rows: 20, keys: 256, mask: [1, 256] }, 1],
    [
      'with a mask of each head',
      { heads: 4, kvHeads: 2, rows: 9, keys: 256, mask: [4, 9, 256] },
      1,
    ],
    ['of causal segments', { heads: 2, kvHeads: 2, rows: 257, causal: true, mask: [257, 257] }, 4],
    ['of many scores', { heads: 64, kvHeads: 32, rows: 520 }, 2],
  ])('equals the plain form, and so do its gradients: %s', async (_, shape, tiles) => {
    const { fused, plain } = graphsOf(shape);
    expect([count(fused, 'MultiHeadAttention'), count(fused, 'Softmax')]).toEqual([1, tiles]);
    const data = Object.fromEntries(
      Object.entries(specsOf(shape)).map(([name, spec], i) => [
        name,
        wave(spec.shape, 0.31 + 0.2 * i),
      ]),
    );
    const [found, expected] = [await runGraph(fused, data), await runGraph(plain, data)];
    expect(found).toHaveLength(4);
    for (const [i, each] of found.entries())
      expect(worstOf(each, expected[i]!)).toBeLessThan(TOLERANCE);
  });

  it('keeps no scores of a long sequence for its gradients', () => {
    const { fused, plain } = graphsOf({
      heads: 16,
      kvHeads: 2,
      rows: 4096,
      width: 64,
      causal: true,
    });
    const scores = 4 * 16 * 4096 ** 2;
    expect(memoryPlan(plain).bytes).toBeGreaterThan(scores);
    expect(memoryPlan(fused).bytes).toBeLessThan(scores / 4);
  });

  it.each<[string, Shape]>([
    ['widths that the kernel does not take', { heads: 2, kvHeads: 2, rows: 256, width: 4 }],
    ['few keys', { heads: 2, kvHeads: 2, rows: 255 }],
    ['a single row', { heads: 2, kvHeads: 2, rows: 1, keys: 300 }],
    ['causal rows after other keys', { heads: 2, kvHeads: 2, rows: 256, keys: 300, causal: true }],
  ])('leaves %s to products', (_, shape) => {
    expect(operators(graphsOf(shape).fused)).not.toContain('MultiHeadAttention');
  });
});
