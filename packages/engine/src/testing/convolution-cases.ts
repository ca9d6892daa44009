import { ops, tf } from '../index.js';
import { as4d, randomInteger, type Table } from './compare.js';

/**
 * [name, image, weight (out, in, kh, kw) or (kh, kw, sets, out, in), stride, padding]. More than 256 output pixels, and then channels of multiples of
 * 16 or not, are computed in different ways.
 */
const LAYERS: readonly (readonly [string, readonly number[], readonly number[], number, number])[] =
  [
    ['3×3', [2, 5, 6, 3], [4, 3, 3, 3], 1, 1],
    ['3×3, tall', [1, 17, 4, 2], [3, 2, 3, 3], 1, 1],
    ['3×3, large', [2, 13, 11, 3], [4, 3, 3, 3], 1, 1],
    ['3×3, in blocks', [1, 18, 17, 16], [32, 16, 3, 3], 1, 1],
    ['3×3, tall, in blocks', [2, 46, 3, 32], [16, 32, 3, 3], 1, 1],
    ['3×3, stride 2', [2, 8, 7, 3], [4, 3, 3, 3], 2, 1],
    ['3×3, stride 2, large', [2, 26, 23, 3], [4, 3, 3, 3], 2, 1],
    ['3×3, stride 2, in blocks', [2, 26, 23, 16], [16, 16, 3, 3], 2, 1],
    ['5×3 without padding', [1, 9, 8, 3], [2, 3, 5, 3], 1, 0],
    ['5×3 without padding, in blocks', [1, 20, 19, 16], [16, 16, 5, 3], 1, 0],
    ['padded beyond its reach', [1, 4, 5, 2], [3, 2, 2, 2], 1, 2],
    ['padded beyond its reach, large', [1, 14, 15, 2], [3, 2, 2, 2], 1, 2],
    ['1×1, in blocks', [2, 9, 16, 16], [16, 16, 1, 1], 1, 0],
    ['patches', [1, 8, 12, 3], [6, 3, 4, 4], 4, 0],
    ['of one pixel', [2, 1, 1, 16], [16, 16, 3, 3], 1, 1],
    ['by turns', [4, 5, 4, 3], [3, 3, 2, 4, 3], 1, 1],
    ['by turns, large', [2, 13, 11, 3], [3, 3, 2, 4, 3], 1, 1],
    ['by turns, stride 2', [6, 7, 6, 3], [3, 3, 3, 2, 3], 2, 1],
    ['by turns, tall', [2, 34, 8, 2], [3, 3, 2, 3, 2], 1, 1],
    ['by turns, in blocks', [2, 18, 17, 16], [3, 3, 2, 16, 16], 1, 1],
  ];

const biasOf = (weight: readonly number[]) =>
  weight.length === 5 ? weight.slice(2, 4) : weight.slice(0, 1);

const LAYER_CASES: Table = LAYERS.flatMap(([name, image, weight, stride, padding]) => [
  [
    `convolution ${name}`,
    (x, w, b) => ops.convolution(tf.mul(x, 0.25), w, b, { stride, padding }),
    [image, weight, biasOf(weight)],
  ] as const,
  [
    `convolution ${name}, no bias`,
    (x, w) => ops.convolution(tf.mul(x, 0.25), w, undefined, { stride, padding }),
    [image, weight],
  ] as const,
]);

const CHOSEN: Table = [
  [
    '3×3 same, in blocks',
    (x, w) => tf.conv2d(as4d(tf.mul(x, 0.25)), as4d(w), 1, 'same'),
    [
      [1, 17, 17, 32],
      [3, 3, 32, 16],
    ],
  ],
  [
    'dilated rows apart, in blocks',
    (x, w) => tf.conv2d(as4d(tf.mul(x, 0.25)), as4d(w), 1, 'same', 'NHWC', [2, 1]),
    [
      [1, 19, 15, 16],
      [3, 3, 16, 16],
    ],
  ],
  [
    '3×3 same',
    (x, w) => tf.conv2d(as4d(x), as4d(w), 1, 'same'),
    [
      [2, 5, 7, 3],
      [3, 3, 3, 4],
    ],
  ],
  [
    '3×3 valid',
    (x, w) => tf.conv2d(as4d(x), as4d(w), 1, 'valid'),
    [
      [1, 5, 4, 2],
      [3, 3, 2, 3],
    ],
  ],
  [
    '3×3 stride 2 pad 1',
    (x, w) => tf.conv2d(as4d(x), as4d(w), 2, 1),
    [
      [2, 7, 6, 3],
      [3, 3, 3, 2],
    ],
  ],
  [
    '3×3 stride 2 same',
    (x, w) => tf.conv2d(as4d(x), as4d(w), 2, 'same'),
    [
      [1, 6, 5, 3],
      [3, 3, 3, 2],
    ],
  ],
  [
    '1×1',
    (x, w) => tf.conv2d(as4d(x), as4d(w), 1, 'same'),
    [
      [2, 3, 1, 3],
      [1, 1, 3, 5],
    ],
  ],
  [
    '2×2 stride 2',
    (x, w) => tf.conv2d(as4d(x), as4d(w), 2, 'valid'),
    [
      [1, 5, 7, 2],
      [2, 2, 2, 3],
    ],
  ],
  [
    'dilated',
    (x, w) => tf.conv2d(as4d(x), as4d(w), 1, 'same', 'NHWC', 2),
    [
      [1, 7, 6, 2],
      [3, 3, 2, 3],
    ],
  ],
  [
    'transposed 2×2 stride 2',
    (x, w) => tf.conv2dTranspose(as4d(x), as4d(w), [2, 6, 8, 3], 2, 'same'),
    [
      [2, 3, 4, 2],
      [2, 2, 3, 2],
    ],
  ],
  [
    'transposed 3×3 stride 2',
    (x, w) => tf.conv2dTranspose(as4d(x), as4d(w), [1, 7, 9, 3], 2, 'valid'),
    [
      [1, 3, 4, 2],
      [3, 3, 3, 2],
    ],
  ],
  ['avgPool', (x) => tf.avgPool(as4d(x), 2, 2, 'valid'), [[1, 4, 6, 3]]],
  [
    'bilinear corners aligned',
    (x) => tf.image.resizeBilinear(as4d(x), [7, 9], true),
    [[2, 3, 4, 2]],
  ],
  ['bilinear shrinking', (x) => tf.image.resizeBilinear(as4d(x), [2, 3], true), [[1, 5, 7, 2]]],
  ['bilinear to one row', (x) => tf.image.resizeBilinear(as4d(x), [1, 5], true), [[1, 3, 3, 1]]],
];

/** Random image sizes, channels, strides and paddings. */
const RANDOM_CONVOLUTIONS: Table = Array.from({ length: 6 }, (_, i) => {
  const [height, width] = [4 + randomInteger(5), 4 + randomInteger(5)];
  const [inputs, outputs, kernel] = [
    1 + randomInteger(3),
    1 + randomInteger(4),
    1 + randomInteger(3),
  ];
  const stride = 1 + (i % 2);
  const pad = i % 3 === 0 ? 'valid' : 'same';
  const x = [1 + randomInteger(2), height, width, inputs];
  const w = [kernel, kernel, inputs, outputs];
  const name = `random conv2d (${x}) (${w}) stride ${stride} ${pad}`;
  return [name, (a, b) => tf.conv2d(as4d(a), as4d(b), stride, pad), [x, w]] as const;
});

/** Convolutions, pooling and resizing. */
export const CONVOLUTIONS: Table = [...CHOSEN, ...LAYER_CASES, ...RANDOM_CONVOLUTIONS];
