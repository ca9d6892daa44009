import {
  compile,
  type DeviceTensor,
  differentiate,
  float32,
  int32,
  ops,
  programPeakBytes,
  type Tensor,
  tf,
} from '../index.js';

interface Inputs {
  readonly x: Tensor;
  readonly targets: Tensor;
  readonly weights: Tensor;
}

/** Logits are twice `x`, so that they are a result of the program. */
const program = ({ x, targets, weights }: Inputs) => ({
  loss: ops.crossEntropySum(tf.mul(x, 2), targets, weights),
});
const specsOf = (rows: number, classes: number) => ({
  x: float32(rows, classes),
  targets: int32(rows),
  weights: float32(rows),
});

function sampleOf(rows: number, classes: number) {
  return {
    // The largest of a row is far above 88, whose power is not finite.
    x: Float32Array.from({ length: rows * classes }, (_, i) => 60 + 3 * Math.sin(1.7 * i)),
    targets: Int32Array.from({ length: rows }, (_, row) => (5 * row) % classes),
    weights: Float32Array.from({ length: rows }, (_, row) => ((row + 1) % 3) / rows),
  };
}

/** Loss and dL/dx in double precision. */
function exactly({ x, targets, weights }: ReturnType<typeof sampleOf>) {
  const classes = x.length / targets.length;
  const gradient = new Float64Array(x.length);
  let loss = 0;
  for (const [row, target] of targets.entries()) {
    const logits = Array.from(x.subarray(row * classes, (row + 1) * classes), (v) => 2 * v);
    const largest = Math.max(...logits);
    const sum = logits.reduce((total, v) => total + Math.exp(v - largest), 0);
    loss -= weights[row]! * (logits[target]! - largest - Math.log(sum));
    for (const [at, v] of logits.entries()) {
      const share = Math.exp(v - largest) / sum - (at === target ? 1 : 0);
      gradient[row * classes + at] = 2 * weights[row]! * share;
    }
  }
  return { loss, gradient };
}

describe('crossEntropySum', () => {
  // 2 MiB of logits and more are taken in pieces; 517 rows do not divide evenly.
  it.each([
    [1, 5],
    [7, 3],
    [517, 1024],
  ])(
    'is what double precision gives, with its gradient, for %i rows of %i',
    async (rows, classes) => {
      const options = { gradients: ['x'], recomputeCheap: true };
      const compiled = await compile(program as never, specsOf(rows, classes), options);
      const sample = sampleOf(rows, classes);
      const run = (await compiled.run(sample)) as {
        readonly loss: DeviceTensor;
        readonly gradients: { readonly x: DeviceTensor };
      };
      const [loss] = await run.loss.read();
      const found = await run.gradients.x.read();
      const expected = exactly(sample);
      expect(Math.abs(loss! / expected.loss - 1)).toBeLessThan(1e-5);
      const worst = expected.gradient.reduce(
        (most, g, i) => Math.max(most, Math.abs(g - found[i]!)),
        0,
      );
      expect(worst * rows).toBeLessThan(2e-5);
      await compiled.dispose();
    },
  );

  it('is the same where no gradient is asked for, which it computes in another way', async () => {
    const [rows, classes] = [517, 1024];
    const compiled = await compile(program as never, specsOf(rows, classes));
    const sample = sampleOf(rows, classes);
    const { loss } = (await compiled.run(sample)) as { readonly loss: DeviceTensor };
    const [value] = await loss.read();
    expect(Math.abs(value! / exactly(sample).loss - 1)).toBeLessThan(1e-5);
    await compiled.dispose();
  });

  it('holds two matrices of the size of the logits where a gradient is asked for', () => {
    const [rows, classes] = [512, 1024];
    const withGradient = ({ x, ...others }: Inputs) => {
      const { outputs, gradients } = differentiate(
        (values) => program({ x: values['x']!, ...others }),
        { x },
      );
      return { ...outputs, ...gradients };
    };
    const options = { recomputeCheap: true };
    const bytes = programPeakBytes(withGradient as never, specsOf(rows, classes), options);
    expect(bytes).toBeLessThan(2.1 * 4 * rows * classes);
  });

  it('holds no second matrix of the size of the logits', () => {
    const [rows, classes] = [512, 4096];
    const bytes = programPeakBytes(program as never, specsOf(rows, classes));
    expect(bytes).toBeLessThan(1.3 * 4 * rows * classes);
  });
});
