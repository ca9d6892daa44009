import { definePlugin } from '@spatialsv/core';
import { qwen25Vl } from './adapter.js';

export default definePlugin({
  specificationVersion: 'v1',
  contributions: () => [qwen25Vl],
});
