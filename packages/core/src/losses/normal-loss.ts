import { type Tensor, tf } from '@spatialsv/engine';
import type { LossConfig } from './loss-config.js';
import {
  everySecond,
  keepValid,
  logConfidence,
  meanOver,
  safeSqrt,
  sumAll,
  weigh,
} from './masked.js';
import type { TaskMaps } from './pixel-losses.js';

/** Normals shorter than this are divided by it instead, as PyTorch's `normalize` does. */
const SHORTEST_NORMAL = 1e-8;

/** x, y and z maps, each (V, H, W) or (4, V, H, W). */
type Planes = readonly [Tensor, Tensor, Tensor];

/**
 * Point-cloud normal loss (eq. 12), averaged over scales that keep every 2^s-th row and column:
 * 1/|Ω| Σ_Ω ((1 − ⟨n(m), n(y)⟩)·c − λ_c·log c). Each pixel has four normals, the cross products of neighbouring
 * differences up × left, left × down, down × right, right × up; one counts where its three pixels are valid. A scale
 * with fewer than `normalMinimum` of them contributes 0.
 * @param maps prediction and label (V, H, W, 3), confidence and mask (V, H, W).
 * Source: VGGT, training/loss.py, normal_loss and point_map_to_normal.
 */
export function normalLoss(config: LossConfig, maps: TaskMaps): Tensor {
  const { mask, confidence, weight } = maps;
  const prediction = planes(keepValid(maps.prediction, mask));
  const label = planes(keepValid(maps.label, mask));
  let scaled: ScaleMaps = { prediction, label, confidence, mask, ...(weight && { weight }) };
  let total = normalAtScale(config, scaled);
  for (let scale = 1; scale < config.normalScales; scale++) {
    scaled = coarser(scaled);
    total = tf.add(total, normalAtScale(config, scaled));
  }
  return tf.div(total, config.normalScales);
}

/** Maps of one scale. */
type ScaleMaps = { readonly prediction: Planes; readonly label: Planes } & Pick<
  TaskMaps,
  'confidence' | 'mask' | 'weight'
>;

const coarser = ({ prediction, label, confidence, mask, weight }: ScaleMaps): ScaleMaps => ({
  prediction: everySecondPlane(prediction),
  label: everySecondPlane(label),
  confidence: everySecond(confidence),
  mask: everySecond(mask),
  ...(weight && { weight: everySecond(weight) }),
});

function planes(points: Tensor): Planes {
  const maps = points.shape.slice(0, 3);
  return eachPlane(tf.split(points, 3, 3) as [Tensor, Tensor, Tensor], (plane) =>
    tf.reshape(plane, maps),
  );
}

const eachPlane = ([x, y, z]: Planes, change: (plane: Tensor) => Tensor): Planes => [
  change(x),
  change(y),
  change(z),
];

const everySecondPlane = (points: Planes): Planes => eachPlane(points, everySecond);

/** (V, H, W) → (4, V, H, W): product over the three pixels of each normal. */
const ofThree = (x: Tensor): Tensor => tf.mul(tf.mul(neighbours(x), rotated(neighbours(x))), x);

function normalAtScale(
  config: LossConfig,
  { prediction, label, confidence, mask, weight }: ScaleMaps,
): Tensor {
  const valid = ofThree(mask);
  const angular = tf.sub(1, dot(normals(prediction), normals(label)));
  const terms = config.normalConfidence
    ? tf.sub(
        tf.mul(angular, confidence),
        tf.mul(logConfidence(confidence), config.confidenceWeight),
      )
    : angular;
  const count = sumAll(valid);
  const enough = tf.cast(tf.greaterEqual(count, config.normalMinimum), 'float32');
  const counted = weigh(tf.mul(terms, valid), weight && ofThree(weight));
  return tf.mul(meanOver(counted, count), enough);
}

/**
 * Four unit normals of every pixel of a point map (up × left, left × down, down × right, right × up), each plane
 * (4, V, H, W); pixels beyond the border are at the origin.
 */
export function normals(points: Planes): Planes {
  const first = eachPlane(points, (plane) => tf.sub(neighbours(plane), plane));
  const second = eachPlane(first, rotated);
  const normal = cross(first, second);
  const length = tf.maximum(safeSqrt(dot(normal, normal)), SHORTEST_NORMAL);
  return eachPlane(normal, (plane) => tf.div(plane, length));
}

/** (V, H, W) → (4, V, H, W): the pixel above, left, below and right, 0 beyond the border. */
function neighbours(x: Tensor): Tensor {
  const [views, height, width] = x.shape as [number, number, number];
  const padded = tf.pad(x, [
    [0, 0],
    [1, 1],
    [1, 1],
  ]);
  const shifted = (row: number, column: number) =>
    tf.slice(padded, [0, row, column], [views, height, width]);
  return tf.stack([shifted(0, 1), shifted(1, 0), shifted(2, 1), shifted(1, 2)]);
}

/** The next neighbour in the order above, left, below, right. */
function rotated(x: Tensor): Tensor {
  const [, ...rest] = x.shape as [number, number, number, number];
  const zeros = rest.map(() => 0);
  return tf.concat([
    tf.slice(x, [1, ...zeros], [3, ...rest]),
    tf.slice(x, [0, ...zeros], [1, ...rest]),
  ]);
}

function cross(a: Planes, b: Planes): Planes {
  const component = (i: 0 | 1 | 2, j: 0 | 1 | 2) => tf.sub(tf.mul(a[i], b[j]), tf.mul(a[j], b[i]));
  return [component(1, 2), component(2, 0), component(0, 1)];
}

function dot(a: Planes, b: Planes): Tensor {
  return tf.add(tf.add(tf.mul(a[0], b[0]), tf.mul(a[1], b[1])), tf.mul(a[2], b[2]));
}
