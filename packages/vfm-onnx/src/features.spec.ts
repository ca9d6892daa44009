import type { GraphFile, GraphResult } from '@spatialsv/core/kit';
import { sizeOf } from '@spatialsv/core/kit';
import { readFeatures } from './features.js';

const GRAPH = { path: 'model.onnx', inputs: [], outputs: [] } as unknown as GraphFile;
const PLAN = { name: 'tokens', patch: 14, specialTokens: 1 };
const SIZE = { height: 28, width: 42 };
const TOKENS = 1 + 2 * 3;

/** Value = its own position. */
const output = (...shape: number[]): Readonly<Record<string, GraphResult>> => {
  const count = sizeOf(shape);
  return {
    tokens: { dtype: 'float32', shape, data: Float32Array.from({ length: count }, (_, i) => i) },
  };
};
const read = (views: number, results: Readonly<Record<string, GraphResult>>) =>
  readFeatures(PLAN, SIZE, { graph: GRAPH, views, results });
const patchesOf = (view: number, channels = 2): number[] =>
  Array.from({ length: 6 * channels }, (_, i) => (view * TOKENS + 1) * channels + i);

describe('features', () => {
  it('are those of the patches, view by view', () => {
    const features = read(2, output(1, 2, TOKENS, 2));
    expect(features).toMatchObject({ h: 2, w: 3, channels: 2 });
    expect([...features.data]).toEqual([...patchesOf(0), ...patchesOf(1)]);
  });

  it('are those of the last layer', () => {
    const features = read(2, output(4, 1, 2, TOKENS, 2));
    expect([...features.data]).toEqual([...patchesOf(6), ...patchesOf(7)]);
  });

  it.each([[[2, TOKENS + 1, 2]], [[3, TOKENS, 2]], [[TOKENS]]])(
    'of another shape are refused: %j',
    (shape) => {
      expect(() => read(2, output(...shape))).toThrow(
        expect.objectContaining({ code: 'DATA_INVALID' }),
      );
    },
  );
});
