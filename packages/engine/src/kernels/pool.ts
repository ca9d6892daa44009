import { tf } from '../tfjs.js';
import { defineKernel } from './registry.js';

for (const [kernel, operator] of [
  ['AvgPool', 'AveragePool'],
  ['MaxPool', 'MaxPool'],
] as const) {
  defineKernel(kernel, ['x'], (graph, [x], { filterSize, strides, pad, dimRoundingMode }) => {
    const shape = [...x!.shape] as [number, number, number, number];
    const info = tf.backend_util.computePool2DInfo(
      shape,
      filterSize,
      strides,
      1,
      pad,
      dimRoundingMode,
    );
    const image = graph.transpose(x!, [0, 3, 1, 2]);
    const { top, left, bottom, right } = info.padInfo;
    const attributes = {
      kernel_shape: [info.filterHeight, info.filterWidth],
      strides: [info.strideHeight, info.strideWidth],
      pads: [top, left, bottom, right],
    };
    const outShape = [0, 3, 1, 2].map((axis) => info.outShape[axis]!);
    const result = graph.add(
      operator,
      [image],
      { shape: outShape, dtype: 'float32' },
      { attributes },
    );
    return graph.transpose(result, [0, 2, 3, 1]);
  });
}
