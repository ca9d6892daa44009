import { interpolationMatrix } from '../interpolation.js';
import { matMul } from './matmul.js';
import { defineKernel } from './registry.js';

/**
 * At a fixed size a separable resize is two products with constant interpolation matrices: exact, and a matrix product on
 * every device. Its gradient, the same products transposed, is registered in `gradients.ts`.
 */
defineKernel('ResizeBilinear', ['images'], (graph, [x], { size, ...corners }) => {
  const [batch, height, width, channels] = x!.shape as [number, number, number, number];
  const [newHeight, newWidth] = size as [number, number];
  const matrix = (inputs: number, outputs: number) =>
    graph.constant(interpolationMatrix(inputs, outputs, corners), [outputs, inputs], 'float32');
  const byRow = graph.reshape(x!, [batch, height, width * channels]);
  const tall = matMul(graph, matrix(height, newHeight), byRow);
  const byColumn = graph.reshape(tall, [batch * newHeight, width, channels]);
  const wide = matMul(graph, matrix(width, newWidth), byColumn);
  return graph.reshape(wide, [batch, newHeight, newWidth, channels]);
});

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
