import { sizeOf } from '../graph/graph.js';
import { tf } from '../index.js';
import {
  as4d,
  type Case,
  type Given,
  isFilled,
  randomInteger,
  randomShape,
  seeded,
  type Table,
} from './compare.js';
import { CONVOLUTIONS } from './convolution-cases.js';
import { FUSED } from './fused-cases.js';

const positive = (...shape: number[]): Given => ({
  shape,
  values: seeded(sizeOf(shape), 0.2, 2),
});
const indices = (shape: number[], ...numbers: number[]): Given => ({
  shape,
  values: Int32Array.from(numbers),
});
const UNARY: Table = (
  [
    ['abs', tf.abs],
    ['acos', tf.acos],
    ['asin', tf.asin],
    ['asinh', tf.asinh],
    ['atan', tf.atan],
    ['atanh', tf.atanh],
    ['ceil', tf.ceil],
    ['clip', (x) => tf.clipByValue(x, -0.3, 0.4)],
    ['cos', tf.cos],
    ['cosh', tf.cosh],
    ['elu', tf.elu],
    ['erf', tf.erf],
    ['exp', tf.exp],
    ['expm1', tf.expm1],
    ['expm1 near 0', (x) => tf.mul(tf.expm1(tf.mul(x, 1e-6)), 1e6)],
    ['log1p near 0', (x) => tf.mul(tf.log1p(tf.mul(x, 1e-6)), 1e6)],
    [
      'expm1 and log1p at 0',
      (x) => tf.mul(tf.add(tf.expm1(tf.mul(x, 1e-30)), tf.log1p(tf.mul(x, 1e-30))), 1e30),
    ],
    ['floor', tf.floor],
    ['leakyRelu', (x) => tf.leakyRelu(x, 0.1)],
    ['neg', tf.neg],
    ['relu', tf.relu],
    ['relu6', (x) => tf.relu6(tf.mul(x, 10))],
    ['sigmoid', tf.sigmoid],
    ['sign', tf.sign],
    ['sin', tf.sin],
    ['sinh', tf.sinh],
    ['softplus', tf.softplus],
    ['square', tf.square],
    ['step', (x) => tf.step(x, 0.5)],
    ['tan', tf.tan],
    ['tanh', tf.tanh],
    ['cast to int32 and back', (x) => tf.cast(tf.cast(tf.mul(x, 9), 'int32'), 'float32')],
    ['zerosLike + onesLike', (x) => tf.add(tf.zerosLike(x), tf.onesLike(x))],
    ['isNaN', (x) => tf.cast(tf.isNaN(tf.log(x)), 'float32')],
  ] as [string, Case][]
).map(([name, program]) => [name, program, [[3, 1, 5]]] as const);

const POSITIVE: Table = (
  [
    ['log', tf.log],
    ['log1p', tf.log1p],
    ['reciprocal', tf.reciprocal],
    ['rsqrt', tf.rsqrt],
    ['sqrt', tf.sqrt],
  ] as [string, Case][]
).map(([name, program]) => [name, program, [positive(2, 7)]] as const);

/** Shapes that broadcast: chosen pairs, and random ones with sizes 1 … 5 where either side may drop to 1 or lack axes. */
const BROADCASTS = [
  { a: [3, 4], b: [3, 4] },
  { a: [3, 4], b: [4] },
  { a: [2, 1, 5], b: [3, 1] },
  { a: [], b: [2, 3] },
  { a: [1, 1], b: [3, 2, 1] },
  ...randomBroadcasts(4),
];

function randomBroadcasts(count: number): { a: number[]; b: number[] }[] {
  return Array.from({ length: count }, () => {
    const full = randomShape(1 + randomInteger(3));
    const reduced = full.map((n) => (randomInteger(3) === 0 ? 1 : n)).slice(randomInteger(2));
    return randomInteger(2) === 0 ? { a: full, b: reduced } : { a: reduced, b: full };
  });
}

const BINARY: Table = (
  [
    ['add', tf.add],
    ['sub', tf.sub],
    ['mul', tf.mul],
    ['maximum', tf.maximum],
    ['minimum', tf.minimum],
    ['squaredDifference', tf.squaredDifference],
    ['div', (a, b) => tf.div(a, tf.add(tf.square(b), 0.5))],
    ['pow 2', (a, b) => tf.pow(a, tf.fill(b.shape, 2))],
    ['pow 1/2', (a, b) => tf.pow(tf.add(tf.square(a), 0.5), tf.fill(b.shape, 0.5))],
    ['pow', (a, b) => tf.pow(tf.add(tf.square(a), 0.5), b)],
    ['mod', (a, b) => tf.mod(tf.mul(a, 7), tf.add(tf.abs(b), 0.5))],
    ['where', (a, b) => tf.where(tf.greater(a, b), tf.mul(a, 2), b)],
    [
      'comparisons',
      (a, b) =>
        tf.add(tf.cast(tf.lessEqual(a, b), 'float32'), tf.cast(tf.notEqual(a, b), 'float32')),
    ],
    [
      'logic',
      (a, b) =>
        tf.cast(
          tf.logicalOr(
            tf.logicalAnd(tf.less(a, b), tf.greaterEqual(a, 0)),
            tf.logicalNot(tf.equal(b, a)),
          ),
          'float32',
        ),
    ],
  ] as [string, Case][]
).flatMap(([name, program]) =>
  BROADCASTS.map(({ a, b }) => [`${name} (${a}) (${b})`, program, [a, b]] as const),
);

const REDUCTIONS: Table = (
  [
    ['sum', tf.sum],
    ['mean', tf.mean],
    ['max', tf.max],
    ['min', tf.min],
    ['prod', tf.prod],
    ['logSumExp', tf.logSumExp],
  ] as [string, (x: tf.Tensor, axis?: number | number[], keep?: boolean) => tf.Tensor][]
).flatMap(([name, f]) => [
  [`${name} of all`, ((x) => f(x)) as Case, [[3, 1, 4]]] as const,
  [`${name} last axis kept`, ((x) => f(x, -1, true)) as Case, [[3, 5]]] as const,
  [`${name} two axes`, ((x) => f(x, [0, 2])) as Case, [[2, 3, 5]]] as const,
  [`${name} of one element an axis`, ((x) => f(x, [0, 2])) as Case, [[1, 4, 1]]] as const,
  [`${name} of one element, kept`, ((x) => f(x, -1, true)) as Case, [[3, 1]]] as const,
  [`${name} of one element in all`, ((x) => f(x)) as Case, [[1, 1]]] as const,
  [`${name} of a scalar`, ((x) => f(x)) as Case, [[]]] as const,
]);

const SHAPES: Table = [
  ['reshape', (x) => tf.reshape(x, [4, -1]), [[2, 6]]],
  ['expandDims and squeeze', (x) => tf.squeeze(tf.mul(tf.expandDims(x, 1), 2), [1]), [[3, 4]]],
  ['transpose', (x) => tf.transpose(x, [2, 0, 1]), [[2, 3, 4]]],
  ['transpose with size 1', (x) => tf.transpose(x, [1, 0, 2]), [[1, 3, 4]]],
  ['slice', (x) => tf.slice(x, [1, 0, 2], [1, 3, -1]), [[2, 3, 5]]],
  ['stridedSlice', (x) => tf.stridedSlice(x, [0, 1], [3, 5], [2, 2]), [[3, 6]]],
  [
    'concat',
    (a, b) => tf.concat([a, b, a], 1),
    [
      [2, 3],
      [2, 1],
    ],
  ],
  [
    'stack',
    (a, b) => tf.stack([a, b], 1),
    [
      [2, 3],
      [2, 3],
    ],
  ],
  ['unstack', (x) => tf.add(tf.unstack(x, 1)[0]!, tf.unstack(x, 1)[2]!), [[2, 3]]],
  ['split', (x) => tf.sub(...(tf.split(x, 2, 1) as [tf.Tensor, tf.Tensor])), [[3, 4]]],
  ['split by sizes', (x) => tf.split(x, [1, 3], 0)[1]!, [[4, 2]]],
  [
    'pad',
    (x) =>
      tf.pad(
        x,
        [
          [1, 0],
          [2, 3],
        ],
        0.5,
      ),
    [[2, 3]],
  ],
  [
    'pad of booleans',
    (x) =>
      tf.cast(
        tf.pad(tf.greater(x, 0), [
          [1, 0],
          [0, 2],
        ]),
        'float32',
      ),
    [[2, 3]],
  ],
  ['tile', (x) => tf.tile(x, [2, 3]), [[2, 3]]],
  ['tile of size 1', (x) => tf.tile(x, [1, 4]), [[3, 1]]],
  ['broadcastTo', (x) => tf.broadcastTo(x, [2, 3, 4]), [[3, 1]]],
  ['reverse', (x) => tf.reverse(x, [0, 2]), [[2, 3, 4]]],
  ['gather', (x, i) => tf.gather(x, i as tf.Tensor1D), [[5, 3], indices([4], 4, 0, 0, 2)]],
  [
    'gather axis 1',
    (x, i) => tf.gather(x, i as tf.Tensor2D, 1),
    [[2, 5], indices([2, 2], 4, 0, 1, 1)],
  ],
  ['cumsum of one', (x) => tf.cumsum(x, 1, true), [[2, 1]]],
  ['sum of none', (x) => tf.sum(tf.slice(x, [0, 0], [2, 0]), 1), [[2, 3]]],
  ['cumsum', (x) => tf.cumsum(x, 1, true, true), [[2, 5]]],
  [
    'addN',
    (a, b) => tf.addN([a, b, a]),
    [
      [2, 3],
      [2, 3],
    ],
  ],
];

const NO_GRADIENT: Table = [
  [
    'mirrorPad',
    (x) =>
      tf.mirrorPad(
        x,
        [
          [1, 1],
          [2, 0],
        ],
        'reflect',
      ),
    [[3, 4]],
  ],
  ['argMax', (x) => tf.cast(tf.argMax(x, 1), 'float32'), [[3, 5]]],
  ['argMin', (x) => tf.cast(tf.argMin(x, 0), 'float32'), [[3, 5]]],
  ['argMax of one', (x) => tf.cast(tf.argMax(x, 1), 'float32'), [[3, 1]]],
  ['all of one', (x) => tf.cast(tf.all(tf.greater(x, 0), 1), 'float32'), [[4, 1]]],
  ['any of one', (x) => tf.cast(tf.any(tf.greater(x, 0), [0, 1]), 'float32'), [[1, 1]]],
  [
    'all and any',
    (x) =>
      tf.add(
        tf.cast(tf.all(tf.greater(x, -0.5), 1), 'float32'),
        tf.cast(tf.any(tf.greater(x, 0.5), 1), 'float32'),
      ),
    [[4, 3]],
  ],
  [
    'floorDiv',
    (a, b) => tf.cast(tf.floorDiv(a, b), 'float32'),
    [indices([4], 7, -7, 8, 9), indices([4], 2, 2, 4, -4)],
  ],
  [
    'floorDiv and mod of large integers, by 0 and by -1',
    (a, b, quotients, rests) =>
      tf.cast(
        tf.stack([
          tf.sub(tf.floorDiv(a, b), quotients!),
          tf.sub(tf.mod(a, b), rests!),
          tf.mod(a, b),
        ]),
        'float32',
      ),
    [
      indices([5], 2147483647, -2147483648, 16777217, 7, -2147483647),
      indices([5], 2, 3, 1, 0, -1),
      indices([5], 1073741823, -715827883, 16777217, 0, 2147483647),
      indices([5], 1, 1, 0, 0, 0),
    ],
  ],
  [
    'expm1 and log1p far from 0',
    (x) => tf.add(tf.minimum(tf.expm1(x), 10), tf.minimum(tf.log1p(tf.abs(x)), 70)),
    [{ shape: [5], values: Float32Array.of(-1000, 1000, 3e38, -20, Number.POSITIVE_INFINITY) }],
  ],
  [
    'oneHot',
    (i) => tf.oneHot(tf.cast(i, 'int32') as tf.Tensor1D, 4, 2, -1),
    [indices([3], 0, 3, 1)],
  ],
  ['scatterND', (i, u) => tf.scatterND(i, u, [5, 2]), [indices([3, 1], 1, 4, 1), [3, 2]]],
  [
    'tensorScatterUpdate',
    (x, i, u) => tf.tensorScatterUpdate(x, i, u),
    [[5, 2], indices([2, 1], 1, 4), [2, 2]],
  ],
  ['gatherND', (x, i) => tf.gatherND(x, i), [[3, 4], indices([2, 2], 2, 1, 0, 3)]],
  ['maxPool', (x) => tf.maxPool(as4d(x), 2, 2, 'same'), [[1, 5, 4, 3]]],
  ['resizeNearest', (x) => tf.image.resizeNearestNeighbor(as4d(x), [7, 5]), [[1, 3, 4, 2]]],
  [
    'relative position ids',
    (x) => tf.cast(tf.add(tf.cast(x, 'int32'), tf.range(0, 3, 1, 'int32')), 'float32'),
    [[2, 3]],
  ],
];

const MATRICES: Table = [
  [
    'matMul',
    (a, b) => tf.matMul(a, b),
    [
      [3, 5],
      [5, 2],
    ],
  ],
  [
    'matMul aᵀ·b',
    (a, b) => tf.matMul(a, b, true),
    [
      [5, 3],
      [5, 2],
    ],
  ],
  [
    'matMul a·bᵀ',
    (a, b) => tf.matMul(a, b, false, true),
    [
      [3, 5],
      [2, 5],
    ],
  ],
  [
    'batched',
    (a, b) => tf.matMul(a, b),
    [
      [2, 3, 5],
      [2, 5, 4],
    ],
  ],
  [
    'batched aᵀ·bᵀ',
    (a, b) => tf.matMul(a, b, true, true),
    [
      [2, 5, 3],
      [2, 4, 5],
    ],
  ],
  [
    'broadcast batch',
    (a, b) => tf.matMul(a, b, false, true),
    [
      [4, 3, 5],
      [1, 2, 5],
    ],
  ],
  [
    'size 1',
    (a, b) => tf.matMul(a, b),
    [
      [1, 1],
      [1, 7],
    ],
  ],
  ['softmax', (x) => tf.softmax(x), [[3, 7]]],
  ['softmax of one', (x) => tf.softmax(x), [[3, 1]]],
  ['logSoftmax', (x) => tf.logSoftmax(x), [[2, 3, 7]]],
  ['logSoftmax of one', (x) => tf.logSoftmax(x), [[2, 1]]],
];

/** Products of random sizes with every combination of transposes. */
const RANDOM_MATRICES: Table = Array.from({ length: 8 }, (_, i) => {
  const [batch, m, k, n] = [1 + randomInteger(3), ...randomShape(3)] as [
    number,
    number,
    number,
    number,
  ];
  const [transposeA, transposeB] = [i % 2 === 1, i % 4 > 1];
  const a = transposeA ? [batch, k, m] : [batch, m, k];
  const b = transposeB ? [batch, n, k] : [batch, k, n];
  const name = `random matMul (${a})${transposeA ? 'ᵀ' : ''} (${b})${transposeB ? 'ᵀ' : ''}`;
  return [name, (x, y) => tf.matMul(x, y, transposeA, transposeB), [a, b]] as const;
});

/** Every kernel of the trace backend as a program with inputs, by kind. */
export const GROUPS: readonly (readonly [string, Table])[] = [
  ['unary', UNARY],
  ['positive domain', POSITIVE],
  ['binary', BINARY],
  ['reductions', REDUCTIONS],
  ['shapes', SHAPES],
  ['without gradient', NO_GRADIENT],
  ['matrices', [...MATRICES, ...RANDOM_MATRICES]],
  ['convolutions', CONVOLUTIONS],
  ['fused', FUSED],
];

const FLAT = new Set([
  'pad of booleans',
  'ceil',
  'floor',
  'sign',
  'cast to int32 and back',
  'zerosLike + onesLike',
  'isNaN',
  'step',
]);
/** tfjs itself has no gradient for these. */
const NO_TFJS_GRADIENT = new Set([
  'stridedSlice',
  'dilated',
  'dilated rows apart, in blocks',
  'avgPool',
  'prod of all',
  'prod last axis kept',
  'prod two axes',
  'prod of one element an axis',
  'prod of one element, kept',
  'prod of one element in all',
  'prod of a scalar',
]);
const hasTfjsGradient = ([name, , inputs]: Table[number]): boolean =>
  !NO_GRADIENT.some(([other]) => other === name) &&
  !FLAT.has(name) &&
  !NO_TFJS_GRADIENT.has(name) &&
  !name.startsWith('comparisons') &&
  !name.startsWith('logic') &&
  inputs.length > 0;

/** Inputs that are data to their kernel: indices, masks, rotary tables, and what only gives its shape. */
function isData(name: string, input: Given, by: number): boolean {
  if (isFilled(input) && input.values instanceof Int32Array) return true;
  if (/^pow [12]/.test(name)) return by === 1;
  return (name.startsWith('attention') && by === 3) || (name === 'rotary' && by > 0);
}

/** Numbers of the inputs by which a case is differentiated. */
export function differentiatedInputs(row: Table[number]): number[] {
  if (!hasTfjsGradient(row)) return [];
  const [name, , inputs] = row;
  return inputs.flatMap((input, by) => (isData(name, input, by) ? [] : [by]));
}

/** Slopes that jump or grow without bound inside the sampled range; the comparison with tfjs covers them. */
const KINKED =
  /^(mod|where|acos|asin|atanh|tan|relu6|maximum|minimum|max |min |abs|relu|leakyRelu|clip)/;

/** Whether central differences can tell the slopes of a case. */
export const isSmooth = ([name]: Table[number]): boolean => !KINKED.test(name);
