import { float32, type Tensor, tf } from '../index.js';
import { seeded } from '../testing/compare.js';
import { runGraph, worstOf } from '../testing/graphs.js';
import { trace } from '../trace/trace.js';

const SHAPE = [2, 3, 700, 8] as const;

/** Sums over images and rows, in doubles. */
function expectedSums(x: Float32Array): Float32Array {
  const [images, groups, rows, channels] = SHAPE;
  return Float32Array.from({ length: groups * channels }, (_, i) => {
    const [group, channel] = [Math.floor(i / channels), i % channels];
    let sum = 0;
    for (let image = 0; image < images; image += 1)
      for (let row = 0; row < rows; row += 1)
        sum += x[((image * groups + group) * rows + row) * channels + channel]!;
    return sum;
  });
}

describe('a sum over the rows of many matrices', () => {
  it.each([
    [false, [3, 8]],
    [true, [1, 3, 1, 8]],
  ])('is a product with ones, kept axes: %s', async (keepDims, shape) => {
    const sums = ({ x }: Record<'x', Tensor>) => ({
      y: tf.sum(x, [0, 2], keepDims),
    });
    const { graph } = trace(sums, { x: float32(...SHAPE) });
    expect(graph.nodes.map(({ operator }) => operator)).toContain('MatMul');
    expect(graph.outputs[0]!.value.shape).toEqual(shape);
    const x = seeded(2 * 3 * 700 * 8, -1, 1);
    const [found] = await runGraph(graph, { x });
    expect(worstOf(found!, expectedSums(x))).toBeLessThan(1e-5);
  });
});
