/**
 * Several DPT heads of equal sizes. Small ones run as one network: their maps take turns along the batch, and each layer runs
 * once, with a weight for each head. They would otherwise cost more for the number of their operations than for the work in them.
 */
import { type Tensor, tf } from '@spatialsv/engine';
import { type ParameterScope, parameterScope, type Shapes } from '../nn/index.js';
import type { Parameters } from '../spec.js';
import { convolve1x1 } from './dense-layers.js';
import { type DptOptions, dptFuse, dptHead, dptHidden, dptPyramid } from './dpt-head.js';
import { type DptSizes, dptShapes } from './dpt-shapes.js';

/** Values of a head's largest map up to which heads run together. Beyond, they would need the memory of all at the same time. */
const SMALL_MAP = 2 ** 20;

/** The last layer, whose outputs differ between heads. */
const LAST = 'scratch.output_conv2.2';

interface Size {
  readonly height: number;
  readonly width: number;
}

type CommonSizes = Omit<DptSizes, 'outputs'>;

/**
 * Raw output maps of heads that read the same taps.
 * @param heads scopes that hold `projects.0.weight`; they differ in the outputs of the last layer only.
 * @param taps four (V, h, w, C) maps of one grid, shallow to deep.
 * @returns for each head what `dptHead` returns.
 * @throws SpatialError WEIGHT_MISSING or, where heads run together, SHAPE_MISMATCH naming the parameter.
 */
export function dptHeads(
  options: DptOptions,
  sizes: CommonSizes,
  heads: readonly ParameterScope[],
  taps: readonly Tensor[],
  size: Size,
): readonly Tensor[] {
  const largest = taps[0]!.shape[0]! * size.height * size.width * sizes.features;
  return heads.length > 1 && largest <= SMALL_MAP
    ? stackedHeads(options, sizes, heads, taps, size)
    : heads.map((head) => dptHead(options, head, taps, size));
}

function stackedHeads(
  options: DptOptions,
  sizes: CommonSizes,
  heads: readonly ParameterScope[],
  taps: readonly Tensor[],
  size: Size,
): readonly Tensor[] {
  const shapes = Object.entries(dptShapes({ ...sizes, outputs: 1 }));
  const shared = Object.fromEntries(shapes.filter(([name]) => !name.startsWith(LAST)));
  const parameters = parameterScope(stackParameters(heads, shared));
  const head = { options, parameters, aspect: size.width / size.height };
  const hidden = dptHidden(head, dptFuse(head, dptPyramid(head, taps), size), size);
  const [images, ...map] = hidden.shape as [number, ...number[]];
  const byHead = tf.reshape(hidden, [images / heads.length, heads.length, ...map]);
  return tf.unstack(byHead, 1).map((own, i) => convolve1x1(heads[i]!.scope(LAST), own));
}

/**
 * Every parameter of S heads as one of shape (S, …), filters with their taps first: (kh, kw, S, out, in). All parameters of one
 * shape are rearranged at once.
 */
function stackParameters(heads: readonly ParameterScope[], shapes: Shapes): Parameters {
  return Object.assign(
    {},
    ...namesByShape(shapes).map((names) => {
      const shape = shapes[names[0]!]!;
      const values = names.flatMap((name) => heads.map((head) => head.get(name, shape)));
      const stacked =
        shape.length === 4
          ? stackFilters(values, names.length)
          : stackVectors(values, names.length);
      return Object.fromEntries(names.map((name, i) => [name, stacked[i]!]));
    }),
  );
}

function namesByShape(shapes: Shapes): readonly (readonly string[])[] {
  const groups: Record<string, string[]> = {};
  for (const [name, shape] of Object.entries(shapes)) {
    const key = shape.join();
    groups[key] = [...(groups[key] ?? []), name];
  }
  return Object.values(groups);
}

/** @param values (C), heads inside of layers. @returns for each layer (S, C). */
function stackVectors(values: readonly Tensor[], layers: number): readonly Tensor[] {
  const all = tf.reshape(tf.concat([...values], 0), [values.length, -1]);
  return splitInto(layers, all, 0);
}

/** @param values (out, in, kh, kw), heads inside of layers. @returns for each layer (kh, kw, S, out, in). */
function stackFilters(values: readonly Tensor[], layers: number): readonly Tensor[] {
  const [outputs, inputs, height, width] = values[0]!.shape as [number, number, number, number];
  const matrix = tf.reshape(tf.concat([...values], 0), [-1, height * width]);
  const rows = (values.length / layers) * outputs * inputs;
  const tapsFirst = tf.reshape(tf.transpose(matrix), [height * width, layers * rows]);
  const parts = splitInto(layers, tapsFirst, 1);
  return parts.map((part) => tf.reshape(part, [height, width, -1, outputs, inputs]));
}

/** tfjs has no gradient of a split into one. */
const splitInto = (count: number, x: Tensor, axis: number): readonly Tensor[] =>
  count === 1 ? [x] : tf.split(x, count, axis);
