import type { GraphTarget } from '../graph/graph.js';
import { float32, ops, type Tensor, tf } from '../index.js';
import { seeded } from '../testing/compare.js';
import { runGraph, worstOf } from '../testing/graphs.js';
import { trace } from '../trace/trace.js';

const [OUT, IN, ROWS] = [7, 5, 3];
const program = ({ w, b, x }: Record<string, Tensor>) => {
  const y = ops.linear(x!, w!);
  return {
    y,
    biased: ops.linear(x!, w!, b),
    back: tf.matMul(y, w!),
    rows: tf.gather(
      w!,
      tf.tensor2d(
        [
          [0, 2, 6],
          [3, 5, 2],
        ],
        [2, 3],
        'int32',
      ),
    ),
  };
};
const specs = {
  w: { kind: 'weight', shape: [OUT, IN], storedAs: 'F32' },
  b: float32(OUT),
  x: float32(ROWS, IN),
} as const;
const given = { b: seeded(OUT), x: seeded(ROWS * IN) };
const w = seeded(OUT * IN);

const graphFor = (target: GraphTarget) => trace(program, specs, target).graph;

describe('a weight that is too large for one tensor of the device', () => {
  // Three rows, one row, and one byte less than all of them.
  it.each([3 * 4 * IN, 4 * IN, 4 * IN * OUT - 1])(
    'gives the same in pieces of up to %i bytes',
    async (largestWeightBytes) => {
      const whole = graphFor({ withoutCpuOperators: true });
      const divided = graphFor({ withoutCpuOperators: true, largestWeightBytes });
      const pieces = divided.inputs.filter(({ weight }) => weight?.rows !== undefined);
      const data = pieces.map(({ name, weight, shape }) => {
        expect(4 * shape[0]! * IN).toBeLessThanOrEqual(largestWeightBytes);
        const { first, count } = weight!.rows!;
        return [name, w.slice(first * IN, (first + count) * IN)] as const;
      });
      const expected = await runGraph(whole, { ...given, w });
      const found = await runGraph(divided, { ...given, ...Object.fromEntries(data) });
      for (const [i, values] of expected.entries())
        expect(worstOf(found[i]!, values)).toBeLessThan(1e-6);
    },
  );

  it('is read as a whole where it fits', () => {
    const { inputs } = graphFor({ largestWeightBytes: 4 * OUT * IN });
    expect(inputs.flatMap(({ weight }) => weight?.rows ?? [])).toEqual([]);
  });
});
