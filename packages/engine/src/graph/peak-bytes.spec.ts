import { float32, type Precision, programPeakBytes, type Tensor, tf } from '../index.js';

type Inputs = Readonly<Record<'x', Tensor>>;
const KIB = 1024;

describe('programPeakBytes', () => {
  it('counts what is held at once, not what is made in all', () => {
    // Each of (16, 16) takes 1 KiB; of a chain two are held at a time.
    const chain = ({ x }: Inputs) => {
      let y = x;
      for (let step = 0; step < 9; step++) y = tf.exp(y);
      return { y };
    };
    expect(programPeakBytes(chain as never, { x: float32(16, 16) })).toBe(2 * KIB);
  });

  it('counts the graph of a precision and of a device', () => {
    // A factor and the product in float32; on the CPU also the other factor, and what the forms in 16 bits have left; on a GPU two
    // factors in 16 bits beside what the one that was computed in float32 has left, and the product.
    const product = ({ x }: Inputs) => ({
      y: tf.exp(tf.matMul(tf.exp(x) as tf.Tensor2D, x as tf.Tensor2D)),
    });
    const specs = { x: float32(16, 16) };
    const bytes = (device: string, precision: Precision) =>
      programPeakBytes(product as never, specs, { device, precision });
    expect(bytes('cpu', 'float32')).toBe(2 * KIB);
    expect(bytes('cpu', 'bfloat16')).toBe(3.5 * KIB);
    expect(bytes('cuda', 'bfloat16')).toBe(2.5 * KIB);
  });

  it('holds a result until its last reader', () => {
    const kept = ({ x }: Inputs) => {
      const first = tf.exp(x);
      const far = tf.tanh(tf.exp(tf.tanh(first)));
      return { y: tf.add(first, far) };
    };
    expect(programPeakBytes(kept as never, { x: float32(16, 16) })).toBe(3 * KIB);
  });
});
