import { type Tensor, tf } from '@spatialsv/engine';

/** 2³² / golden ratio, odd: neighbouring numbers come far apart. */
const SPREAD = 0x9e3779b1 | 0;
const ADDED = 0x6b43a9b5 | 0;
const ROUNDS = 3;

/**
 * Numbers in [0, 1) that look random, the same for the same seed in every program: element (i, j) depends on its place and
 * the seed alone. In 32-bit integers that wrap: spread the place, then h ← h(2h + 1) + c three times, a permutation whose upper
 * bits depend on all below them; the upper bits become the number.
 * @param seed scalar int32. @returns (rows, columns) float32.
 * Source of the permutation: RC6 (Rivest and others, 1998).
 */
export function placedUniform(seed: Tensor, rows: number, columns: number): Tensor {
  const row = tf.tensor(
    Int32Array.from({ length: rows }, (_, i) => Math.imul(i, columns)),
    [rows, 1],
    'int32',
  );
  const column = tf.tensor(
    Int32Array.from({ length: columns }, (_, j) => j),
    [1, columns],
    'int32',
  );
  const number = (value: number) => tf.scalar(value, 'int32');
  let h = tf.mul(tf.add(tf.add(row, seed), column), number(SPREAD));
  for (let round = 0; round < ROUNDS; round++) {
    const inner = tf.add(tf.mul(h, number(2)), number(1));
    h = tf.add(tf.mul(h, inner), number(ADDED));
  }
  return tf.add(tf.mul(tf.cast(h, 'float32'), 2 ** -32), 0.5);
}

/**
 * x with each element 0 with a probability of 1 − keep, and divided by keep otherwise.
 * @param seed scalar int32, see {@link placedUniform}. @param keep scalar in (0, 1].
 */
export function dropout(x: Tensor, seed: Tensor, keep: Tensor): Tensor {
  const columns = x.shape.at(-1)!;
  const rows = x.size / columns;
  const isKept = tf.less(placedUniform(seed, rows, columns), keep);
  return tf.mul(x, tf.reshape(tf.div(tf.cast(isKept, 'float32'), keep), x.shape));
}
