import type { Graph, Value } from '../graph/graph.js';
import { type Corners, interpolationMatrix } from '../interpolation.js';
import { fromBlocked, prefersBlocked, toBlocked } from './blocked-layout.js';
import { isDifferentiating } from './differentiating.js';
import { matMul } from './matmul.js';
import { defineKernel } from './registry.js';

type Size = readonly [height: number, width: number];

defineKernel('ResizeBilinear', ['images'], (graph, [x], { size, ...corners }) =>
  isBlockableResize(graph, x!, size as Size)
    ? resizeBlocked(graph, x!, size as Size, corners)
    : resizeByProducts(graph, x!, size as Size, corners),
);

/** A resize lies between convolutions and stays where they are. */
function isBlockableResize(graph: Graph, x: Value, [height, width]: Size): boolean {
  if (isDifferentiating()) return false;
  const [batch, , , channels] = x.shape as [number, number, number, number];
  const size = { rows: batch * height * width, channels };
  return prefersBlocked(graph, 'convolution3x3', size, (block) => channels % block === 0);
}

/**
 * ONNX Runtime's own resize, in the blocked layout: to it a block of channels is an image. It reads each pixel once, and the
 * convolutions before and after stay in the layout.
 */
function resizeBlocked(graph: Graph, x: Value, size: Size, corners: Corners): Value {
  const [batch, height, width, channels] = x.shape as [number, number, number, number];
  const block = graph.channelBlock!;
  const images = (batch * channels) / block;
  const image = graph.reshape(toBlocked(graph, x), [images, height, width, block]);
  const type = { shape: [images, ...size, block], dtype: 'float32' as const };
  const resized = graph.add(
    'Resize',
    [image, undefined, undefined, graph.int64(type.shape)],
    type,
    { attributes: { mode: 'linear', coordinate_transformation_mode: coordinates(corners) } },
  );
  return fromBlocked(graph, graph.reshape(resized, [batch, channels, ...size]));
}

const coordinates = ({ alignCorners, halfPixelCenters }: Corners): string => {
  if (alignCorners) return 'align_corners';
  return halfPixelCenters ? 'half_pixel' : 'asymmetric';
};

/**
 * At a fixed size a separable resize is two products with constant interpolation matrices: exact, and a matrix product on
 * every device. Its gradient, the same products transposed, is registered in `gradients.ts`.
 */
function resizeByProducts(graph: Graph, x: Value, size: Size, corners: Corners): Value {
  const [batch, height, width, channels] = x.shape as [number, number, number, number];
  const [newHeight, newWidth] = size;
  const matrix = (inputs: number, outputs: number) =>
    graph.constant(interpolationMatrix(inputs, outputs, corners), [outputs, inputs], 'float32');
  const byRow = graph.reshape(x, [batch, height, width * channels]);
  const tall = matMul(graph, matrix(height, newHeight), byRow);
  const byColumn = graph.reshape(tall, [batch * newHeight, width, channels]);
  const wide = matMul(graph, matrix(width, newWidth), byColumn);
  return graph.reshape(wide, [batch, newHeight, newWidth, channels]);
}

defineKernel(
  'ResizeNearestNeighbor',
  ['images'],
  (graph, [x], { size, alignCorners, halfPixelCenters }) => {
    const pick = (inputs: number, outputs: number) => {
      const scale = alignCorners && outputs > 1 ? (inputs - 1) / (outputs - 1) : inputs / outputs;
      return Int32Array.from({ length: outputs }, (_, i) => {
        const source = halfPixelCenters ? (i + 0.5) * scale : i * scale;
        return Math.min(inputs - 1, alignCorners ? Math.round(source) : Math.floor(source));
      });
    };
    const [batch, height, width, channels] = x!.shape as [number, number, number, number];
    const rows = graph.constant(pick(height, size[0]), [size[0]], 'int32');
    const columns = graph.constant(pick(width, size[1]), [size[1]], 'int32');
    const tall = { shape: [batch, size[0], width, channels], dtype: x!.dtype };
    const wide = { shape: [batch, size[0], size[1], channels], dtype: x!.dtype };
    const picked = graph.add('Gather', [x, rows], tall, { attributes: { axis: 1 } });
    return graph.add('Gather', [picked, columns], wide, { attributes: { axis: 2 } });
  },
);
