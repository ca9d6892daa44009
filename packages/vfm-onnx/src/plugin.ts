import { definePlugin } from '@spatialsv/core';
import { onnxSource } from './source.js';

/** Contributes the supervision source `onnx`. */
export default definePlugin({
  specificationVersion: 'v1',
  contributions: () => [onnxSource],
});
