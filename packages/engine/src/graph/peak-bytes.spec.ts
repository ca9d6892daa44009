import { float32, programPeakBytes, type Tensor, tf } from '../index.js';

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

  it('holds a result until its last reader', () => {
    const kept = ({ x }: Inputs) => {
      const first = tf.exp(x);
      const far = tf.tanh(tf.exp(tf.tanh(first)));
      return { y: tf.add(first, far) };
    };
    expect(programPeakBytes(kept as never, { x: float32(16, 16) })).toBe(3 * KIB);
  });
});
