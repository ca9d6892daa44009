import { compile, differentiate, float32, programPeakBytes, type Tensor, tf } from '../index.js';

type Inputs = Readonly<Record<'x' | 'w', Tensor>>;
const SIZE = 192;
const BYTES = 4 * SIZE * SIZE;
const DEPTH = 4;
const specs = { x: float32(SIZE, SIZE), w: float32(SIZE, SIZE) };

/** Layers of a product and cheap operations on it, of which the backward pass reads results. */
function gradientOfLayers({ x, w }: Inputs) {
  const { outputs, gradients } = differentiate(
    (values) => {
      let y = values['x'] as tf.Tensor2D;
      for (let layer = 0; layer < DEPTH; layer++) {
        const product = tf.matMul(y, values['w'] as tf.Tensor2D);
        const gate = tf.mul(product, tf.sigmoid(product));
        y = tf.mul(gate, tf.tanh(gate));
      }
      return { loss: tf.mean(tf.square(y)) as Tensor };
    },
    { x, w },
  );
  return { loss: outputs.loss, ...gradients };
}

const values = (seed: number) =>
  Float32Array.from({ length: SIZE * SIZE }, (_, i) => 0.2 * Math.sin(seed * (i + 1)));

async function runWith(recomputeCheap: boolean) {
  const program = await compile(gradientOfLayers as never, specs, { recomputeCheap });
  const outputs = await program.run({ x: values(1), w: values(2.7) });
  const read = Object.entries(outputs).map(async ([name, tensor]) => {
    return [name, Float32Array.from(await (tensor as { read(): Promise<Float32Array> }).read())];
  });
  const result = Object.fromEntries(await Promise.all(read)) as Record<string, Float32Array>;
  await program.dispose();
  return result;
}

describe('recomputing what is cheap', () => {
  it('keeps little more than the products of the forward pass', () => {
    const plain = programPeakBytes(gradientOfLayers as never, specs);
    const saving = programPeakBytes(gradientOfLayers as never, specs, { recomputeCheap: true });
    expect(plain).toBeGreaterThan(5 * DEPTH * BYTES);
    // Beside the products what the gradient of w reads: inputs of layers, and their gradients.
    expect(saving).toBeLessThan((3 * DEPTH + 4) * BYTES);
  });

  it('changes no bit of the results', async () => {
    expect(await runWith(true)).toEqual(await runWith(false));
  });

  it('leaves a program alone that keeps nothing', () => {
    const chain = ({ x }: Inputs) => ({ y: tf.exp(tf.tanh(tf.exp(x))) });
    const bytes = [false, true].map((recomputeCheap) =>
      programPeakBytes(chain as never, specs, { recomputeCheap }),
    );
    expect(bytes[1]).toBe(bytes[0]);
  });
});
