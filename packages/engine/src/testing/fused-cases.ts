import { ops } from '../index.js';
import { tf } from '../tfjs.js';
import type { Table } from './compare.js';

/** The engine's own operations. */
export const FUSED: Table = [
  ['rmsNorm', (x, w) => ops.rmsNorm(x, w, 1e-6), [[3, 8], [8]]],
  ['rmsNorm rank 3', (x, w) => ops.rmsNorm(x, w, 1e-5), [[2, 3, 5], [5]]],
  ['rmsNorm of one channel', (x, w) => ops.rmsNorm(x, w, 1e-2), [[4, 1], [1]]],
  ['rmsNorm of one value', (x, w) => ops.rmsNorm(x, w, 1e-2), [[1, 1, 1], [1]]],
  ['layerNorm of one channel', (x, w, b) => ops.layerNorm(x, w, b, 1e-2), [[4, 1], [1], [1]]],
  ['layerNorm', (x, w, b) => ops.layerNorm(x, w, b, 1e-5), [[2, 3, 7], [7], [7]]],
  ['silu', (x) => ops.silu(tf.mul(x, 4)), [[3, 5]]],
  ['gelu', (x) => ops.gelu(tf.mul(x, 4)), [[3, 5]]],
  ['geluTanh', (x) => ops.geluTanh(tf.mul(x, 4)), [[3, 5]]],
  ['quickGelu', (x) => ops.quickGelu(tf.mul(x, 4)), [[3, 5]]],
  ['linear', (x, w, b) => ops.linear(x, w, b), [[2, 3, 4], [5, 4], [5]]],
  [
    'linear without bias',
    (x, w) => ops.linear(x, w),
    [
      [3, 4],
      [5, 4],
    ],
  ],
  ['linear of many rows', (x, w, b) => ops.linear(x, w, b), [[2, 150, 32], [48, 32], [48]]],
  [
    'linear of many rows without bias',
    (x, w) => ops.linear(x, w),
    [
      [300, 32],
      [16, 32],
    ],
  ],
  [
    'linear of many rows, activated, added and taken by another one',
    (x, w, v) => {
      const sum = tf.add(ops.gelu(ops.linear(x, w)), ops.linear(x, tf.mul(w, 2)));
      return ops.linear(ops.gelu(sum), v);
    },
    [
      [2, 130, 16],
      [32, 16],
      [16, 32],
    ],
  ],
  [
    'linear of many rows, gated and taken by another one',
    (x, w, u, v) => {
      const gated = tf.mul(ops.silu(ops.linear(x, w)), ops.linear(x, u));
      return ops.linear(tf.mul(ops.geluTanh(gated), ops.quickGelu(gated)), v);
    },
    [
      [2, 130, 16],
      [32, 16],
      [32, 16],
      [16, 32],
    ],
  ],
  [
    'products of many rows taken apart into heads and joined again',
    (x, w, v) => {
      const heads = tf.transpose(tf.reshape(ops.linear(x, w), [2, 130, 2, 16]), [2, 0, 1, 3]);
      const turned = tf.mul(heads, 0.5);
      const joined = tf.reshape(tf.transpose(turned, [1, 2, 0, 3]), [2, 130, 32]);
      return ops.linear(joined, v);
    },
    [
      [2, 130, 16],
      [32, 16],
      [16, 32],
    ],
  ],
  [
    'rotary',
    (x, c, s) => ops.rotary(x, c, s),
    [
      [3, 4, 6],
      [4, 3],
      [4, 3],
    ],
  ],
  [
    'attention',
    (q, k, v) => ops.attention(q, k, v, { scale: 0.5 }),
    [
      [4, 5, 6],
      [2, 7, 6],
      [2, 7, 6],
    ],
  ],
  [
    'attention, masked',
    (q, k, v, m) => ops.attention(q, k, v, { scale: 0.5, mask: m }),
    [
      [2, 3, 4],
      [2, 3, 4],
      [2, 3, 4],
      [3, 3],
    ],
  ],
  [
    'attention, causal',
    (q, k, v) => ops.attention(q, k, v, { scale: 0.5, causal: true }),
    [
      [4, 5, 6],
      [2, 5, 6],
      [2, 5, 6],
    ],
  ],
  [
    'attention, causal in tiles',
    (q, k, v) => ops.attention(q, k, v, { scale: 0.5, causal: true }),
    [
      [2, 201, 4],
      [1, 205, 4],
      [1, 205, 4],
    ],
  ],
];
