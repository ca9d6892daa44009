import { findBlock } from '../devices/kernel-choice/measure.js';
import { float32, ops, type Tensor, tf } from '../index.js';
import type { Program } from '../specs.js';
import { seeded } from '../testing/compare.js';
import { inLayout, runGraph, worstOf } from '../testing/graphs.js';
import { trace } from '../trace/trace.js';
import { alwaysBlocked } from './choice.js';

type Inputs = Record<'x' | 'weight', Tensor>;

const SPECS = { x: float32(1, 18, 17, 16), weight: float32(16, 16, 3, 3) };
const DATA = {
  x: seeded(18 * 17 * 16, -0.5, 0.5),
  weight: seeded(16 * 16 * 9, -0.5, 0.5),
};

const asProgram = (program: (inputs: Inputs) => Record<string, Tensor>) => program;

const convolve = ({ x, weight }: Inputs) => ops.convolution(x, weight, undefined, { padding: 1 });

const active = asProgram((inputs) => ({ y: tf.relu(convolve(inputs)) }));

const withGradients = asProgram(({ x, weight }) => {
  const loss = (...[image, filter]: Tensor[]) =>
    tf.sum(tf.square(tf.relu(convolve({ x: image!, weight: filter! })))) as tf.Scalar;
  const [dx, dWeight] = tf.grads(loss)([x, weight]);
  return { y: tf.relu(convolve({ x, weight })), dx: dx!, dWeight: dWeight! };
});

const operatorsOf = (program: Program) =>
  trace(program, SPECS, { choice: alwaysBlocked(16) }).graph.nodes.map(({ operator }) => operator);

describe('convolutions in the blocked layout', () => {
  it.each([
    ['a forward pass', active],
    ['a backward pass, which needs only the result', withGradients],
  ])('apply the ReLU that alone reads them: %s', (_name, program) => {
    expect(operatorsOf(program)).toContain('Conv');
    expect(operatorsOf(program)).not.toContain('Relu');
  });

  it('leave a ReLU alone whose input is read by others', () => {
    const both = asProgram((inputs) => {
      const y = convolve(inputs);
      return { y: tf.relu(y), negative: tf.neg(y) };
    });
    expect(operatorsOf(both)).toContain('Relu');
  });

  it('leave a ReLU alone whose input is an output', () => {
    const both = asProgram((inputs) => {
      const y = convolve(inputs);
      return { before: y, y: tf.relu(y) };
    });
    expect(operatorsOf(both)).toContain('Relu');
  });

  it('give the values and gradients of plain operators', async () => {
    const { block } = await findBlock();
    const blocked = trace(withGradients, SPECS, { choice: inLayout(block) }).graph;
    const plain = trace(withGradients, SPECS, { withoutCpuOperators: true }).graph;
    const [found, expected] = [await runGraph(blocked, DATA), await runGraph(plain, DATA)];
    expected.forEach((values, output) => {
      expect(worstOf(found[output]!, values)).toBeLessThan(1e-5);
    });
  });
});
