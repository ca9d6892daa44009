/**
 * Gradients that tfjs lacks or computes for equal shapes only. They are written in tfjs operations, so they hold for
 * traced programs and on every eager backend.
 */
import { type Corners, interpolationMatrix } from './interpolation.js';
import { type Tensor, tf } from './tfjs.js';

/** Sums a gradient over the axes along which its input was broadcast. */
function unbroadcast(gradient: Tensor, shape: readonly number[]): Tensor {
  const axes = tf.broadcast_util.getReductionAxes([...shape], gradient.shape);
  return tf.reshape(axes.length > 0 ? tf.sum(gradient, axes) : gradient, [...shape]);
}

type BinarySlope = (a: Tensor, b: Tensor, dy: Tensor) => readonly [Tensor, Tensor];

function registerBinary(kernelName: string, slopes: BinarySlope): void {
  tf.registerGradient({
    kernelName,
    inputsToSave: ['a', 'b'],
    gradFunc: (dy, saved) => {
      const [a, b] = saved as [Tensor, Tensor];
      const [da, db] = slopes(a, b, dy as Tensor);
      return { a: () => unbroadcast(da, a.shape), b: () => unbroadcast(db, b.shape) };
    },
  });
}

const where = (condition: Tensor, x: Tensor): Tensor => tf.mul(x, tf.cast(condition, 'float32'));

registerBinary('Maximum', (a, b, dy) => [
  where(tf.greaterEqual(a, b), dy),
  where(tf.less(a, b), dy),
]);
registerBinary('Minimum', (a, b, dy) => [
  where(tf.lessEqual(a, b), dy),
  where(tf.greater(a, b), dy),
]);
registerBinary('SquaredDifference', (a, b, dy) => {
  const slope = tf.mul(dy, tf.mul(tf.sub(a, b), 2));
  return [slope, tf.neg(slope)];
});

const COMPARISONS = ['Equal', 'NotEqual', 'Greater', 'GreaterEqual', 'Less', 'LessEqual'];

/** A comparison is flat wherever it has a slope. tfjs has no gradient for it, so `where(a > b, …)` would not train. */
for (const kernelName of [...COMPARISONS, 'LogicalAnd', 'LogicalOr']) {
  tf.registerGradient({
    kernelName,
    inputsToSave: ['a', 'b'],
    gradFunc: (_dy, saved) => {
      const [a, b] = saved as [Tensor, Tensor];
      return { a: () => tf.zeros(a.shape), b: () => tf.zeros(b.shape) };
    },
  });
}
for (const kernelName of ['LogicalNot', 'IsNan', 'IsInf', 'IsFinite']) {
  tf.registerGradient({
    kernelName,
    inputsToSave: ['x'],
    gradFunc: (_dy, [x]) => ({ x: () => tf.zeros(x!.shape) }),
  });
}

tf.registerGradient({
  kernelName: 'BatchMatMul',
  inputsToSave: ['a', 'b'],
  gradFunc: (dy, saved, attributes) => {
    const [a, b] = saved as [Tensor, Tensor];
    const { transposeA, transposeB } = attributes as Record<string, boolean>;
    const y = dy as Tensor;
    const da = () =>
      transposeA ? tf.matMul(b, y, transposeB, true) : tf.matMul(y, b, false, !transposeB);
    const db = () =>
      transposeB ? tf.matMul(y, a, true, transposeA) : tf.matMul(a, y, !transposeA, false);
    return { a: () => unbroadcast(da(), a.shape), b: () => unbroadcast(db(), b.shape) };
  },
});

/** From y instead of x, so that x need not be kept: y > 0 where x > 0. */
tf.registerGradient({
  kernelName: 'Relu',
  outputsToSave: [true],
  gradFunc: (dy, [y]) => ({ x: () => tf.mul(dy as Tensor, tf.step(y!)) }),
});

/** The transposed interpolation: tfjs' own CPU kernel swaps height and width of its result. */
tf.registerGradient({
  kernelName: 'ResizeBilinear',
  inputsToSave: ['images'],
  gradFunc: (dy, [images], attributes) => {
    const [batch, height, width, channels] = images!.shape as [number, number, number, number];
    const [, newHeight, newWidth] = (dy as Tensor).shape as [number, number, number];
    const corners = attributes as Record<keyof Corners, boolean>;
    const matrix = (from: number, to: number) =>
      tf.tensor2d(interpolationMatrix(from, to, corners), [to, from]);
    const gradient = () => {
      const byColumn = tf.reshape(dy as Tensor, [batch * newHeight, newWidth, channels]);
      const narrow = tf.matMul(matrix(width, newWidth), byColumn, true);
      const byRow = tf.reshape(narrow, [batch, newHeight, width * channels]);
      return tf.reshape(tf.matMul(matrix(height, newHeight), byRow, true), images!.shape);
    };
    return { images: gradient };
  },
});
