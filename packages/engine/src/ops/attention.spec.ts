import { compile } from '../compile.js';
import { float32, type Program } from '../specs.js';
import { type Tensor, tf } from '../tfjs.js';
import { trace } from '../trace/trace.js';
import { attention } from './attention.js';

type Inputs = Readonly<Record<'queries' | 'keys' | 'values', Tensor>>;

/** Enough scores to be computed tile by tile. */
const [HEADS, ROWS, COLUMNS, WIDTH] = [3, 1200, 1301, 8] as const;
const specs = {
  queries: float32(HEADS, ROWS, WIDTH),
  keys: float32(HEADS, COLUMNS, WIDTH),
  values: float32(HEADS, COLUMNS, WIDTH),
};
const options = { scale: 0.7 };

const composed = ({ queries, keys, values }: Inputs): Tensor => {
  const scores = tf.mul(tf.matMul(queries as tf.Tensor3D, keys as tf.Tensor3D, false, true), 0.7);
  return tf.matMul(tf.softmax(scores, -1), values as tf.Tensor3D);
};

const wave = (rows: number, pace: number): Float32Array =>
  Float32Array.from({ length: HEADS * rows * WIDTH }, (_, i) => 2 * Math.sin(pace * i + 1));

describe('attention over many scores', () => {
  const fast = ({ queries, keys, values }: Inputs) => attention(queries, keys, values, options);

  it('equals softmax(scale · Q·Kᵀ) · V', async () => {
    const both = (inputs: Inputs) => ({ fast: fast(inputs), exact: composed(inputs) });
    const program = await compile(both, specs);
    const { fast: found, exact } = await program.run({
      queries: wave(ROWS, 0.37),
      keys: wave(COLUMNS, 0.61),
      values: wave(COLUMNS, 0.83),
    });
    const [a, b] = [await found.read(), await exact.read()];
    const errors = Array.from(a, (value, i) => Math.abs(value - b[i]!));
    expect(Math.max(...errors)).toBeLessThan(2e-6);
    await program.dispose();
  });

  it('stores the scores only where a backward pass reads them', () => {
    const operators = (program: unknown) =>
      trace(program as Program, specs).graph.nodes.map(({ operator }) => operator);
    expect(operators((inputs: Inputs) => ({ y: fast(inputs) }))).toEqual(['MultiHeadAttention']);
    const differentiated = (inputs: Inputs) => ({
      y: tf.grad((queries: Tensor) => tf.sum(fast({ ...inputs, queries })))(inputs.queries),
    });
    expect(operators(differentiated)).toContain('Softmax');
  });
});
