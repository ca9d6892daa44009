/** 3×3 convolutions with nothing between them: a linear map of the image, computed with the fewest multiplications. */
import { ops, type Tensor, tf } from '@spatialsv/engine';
import type { ParameterScope } from '../nn/index.js';
import { convolve3x3 } from './dense-layers.js';

type Layers = readonly ParameterScope[];

/**
 * c_n(… c_1(x)). Narrow layers around wide ones, 128 → 256 → 128, are cheaper as one convolution with the larger kernel that they
 * amount to, and layers are joined where that is so.
 * @param layers 3×3 convolutions of padding 1, as of {@link convolve3x3}. @param x (V, h, w, in). @returns (V, h, w, out).
 */
export function convolveInTurn(layers: Layers, x: Tensor): Tensor {
  const [, height, width] = x.shape as [number, number, number];
  const { runs } = cheapest(layers, { height, width });
  return runs.reduce(
    (image, run) => (run.length > 1 ? joined(run, image) : oneByOne(run, image)),
    x,
  );
}

const oneByOne = (layers: Layers, x: Tensor): Tensor =>
  layers.reduce((image, layer) => convolve3x3(layer, image), x);

// ---------------------------------------------------------------------------------------------- which to join

interface Size {
  readonly height: number;
  readonly width: number;
}

interface Plan {
  /** Layers that are computed as one, in order. */
  readonly runs: readonly Layers[];
  /** Multiplications a pixel. */
  readonly work: number;
}

/** Share of the work that joining has to save to be worth its cuts and concatenations: by estimate. */
const LEAST_SAVING = 0.2;

/** The division into runs that takes the least work, of all that there are: layers in a row are few. */
function cheapest(layers: Layers, size: Size): Plan {
  if (layers.length === 0) return { runs: [], work: 0 };
  const plans = layers.map((_, i): Plan => {
    const run = layers.slice(0, i + 1);
    const rest = cheapest(layers.slice(i + 1), size);
    return { runs: [run, ...rest.runs], work: workOf(run, size) + rest.work };
  });
  return plans.reduce((best, plan) => (plan.work < best.work ? plan : best));
}

function workOf(run: Layers, { height, width }: Size): number {
  const widths = run.map((layer) => layer.get('weight').shape as [number, number]);
  const apart = widths.reduce((sum, [outputs, inputs]) => sum + 9 * outputs * inputs, 0);
  if (run.length === 1) return apart;
  const kernel = 2 * run.length + 1;
  const [inputs, outputs] = [widths[0]![1], widths.at(-1)![0]];
  const strips = 2 * stripOf(run);
  const shareOfStrips = Math.min(1, strips / height + strips / width);
  return (kernel * kernel * inputs * outputs + shareOfStrips * apart) / (1 - LEAST_SAVING);
}

// ---------------------------------------------------------------------------------------------- joined layers

/** Pixels from an edge within which a layer pads what another one made, so that the one kernel does not hold. */
const reachOf = (run: Layers): number => run.length - 1;

/** Pixels from an edge that decide the {@link reachOf} outermost ones. */
const stripOf = (run: Layers): number => 2 * reachOf(run) + 1;

/** The inner pixels by the joint kernel, those near the edges layer by layer. */
function joined(run: Layers, x: Tensor): Tensor {
  const { weight, bias } = jointKernel(run);
  const inner = ops.convolution(x, weight, bias, { padding: 1 });
  const [top, bottom] = edges(run, x, 1);
  const [left, right] = edges(run, x, 2).map((edge) => {
    const rows = edge.shape[1]! - 2 * reachOf(run);
    return cut(edge, 1, reachOf(run), rows);
  }) as [Tensor, Tensor];
  return tf.concat([top, tf.concat([left, inner, right], 2), bottom], 1);
}

/** The first and the last pixels of the result. @param axis 1: rows, 2: columns. */
function edges(run: Layers, x: Tensor, axis: 1 | 2): readonly [Tensor, Tensor] {
  const [reach, strip] = [reachOf(run), stripOf(run)];
  const strips = [cut(x, axis, 0, strip), cut(x, axis, x.shape[axis]! - strip, strip)];
  const [first, last] = tf.split(oneByOne(run, tf.concat(strips, 0)), 2, 0) as [Tensor, Tensor];
  return [cut(first, axis, 0, reach), cut(last, axis, strip - reach, reach)];
}

function cut(x: Tensor, axis: 1 | 2, start: number, count: number): Tensor {
  const begin = x.shape.map((_, i) => (i === axis ? start : 0));
  const size = x.shape.map((all, i) => (i === axis ? count : all));
  return tf.slice(x, begin, size);
}

interface Kernel {
  /** (out, in, k, k). */
  readonly weight: Tensor;
  /** (out). */
  readonly bias: Tensor;
}

/**
 * K ∘ W of a kernel and the layer before it, layer by layer: each output's kernel is an image of the layer's outputs, and what of the
 * layer's inputs it reads is what the transposed convolution makes of that image. b_K + Σ K · b_W.
 */
function jointKernel(run: Layers): Kernel {
  const last = run.at(-1)!;
  const start = {
    image: tf.transpose(last.get('weight'), [0, 2, 3, 1]), // (out, k, k, in)
    bias: last.get('bias'),
  };
  const { image, bias } = run.slice(0, -1).reduceRight(({ image, bias }, layer) => {
    const filter = tf.transpose(layer.get('weight'), [2, 3, 1, 0]) as tf.Tensor4D;
    const [outputs, size] = image.shape as [number, number];
    const shape: [number, number, number, number] = [outputs, size + 2, size + 2, filter.shape[2]];
    return {
      image: tf.conv2dTranspose(image as tf.Tensor4D, filter, shape, 1, 'valid') as Tensor,
      bias: tf.add(bias, tf.sum(tf.mul(image, layer.get('bias')), [1, 2, 3])),
    };
  }, start);
  return { weight: tf.transpose(image, [0, 3, 1, 2]), bias };
}
