import { type Tensor, tf } from '@spatialsv/engine';
import { inverseFrequencies, rotaryTables } from './rope.js';

const largestDifference = (a: Tensor, b: Tensor) => tf.max(tf.abs(tf.sub(a, b))).dataSync()[0]!;

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe('inverseFrequencies', () => {
  it.each([
    [1e6, 128, [1, 0.80584219, 1e-3, 1.24093776e-6]],
    [5e6, 128, [1, 0.78582998, 4.47213595e-4, 2.54507979e-7]],
    [1e4, 128, [1, 0.86596432, 1e-2, 1.15478198e-4]],
    [1e6, 64, [1, 0.64938163, 1e-3, 1.53992653e-6]],
  ])('has the known values for θ = %d and head dimension %i', (theta, headDim, expected) => {
    const inverse = inverseFrequencies(theta, headDim);
    [0, 1, headDim / 4, headDim / 2 - 1].forEach((index, i) => {
      expect(Math.abs(inverse[index]! / expected[i]! - 1)).toBeLessThan(2e-7);
    });
  });
});

describe('rotaryTables', () => {
  it('gives plain rotary positions for equal rows of M-RoPE', () => {
    const row = [0, 3, 17, 900];
    const plain = rotaryTables({ theta: 1e6 }, 16, tf.tensor2d([row], [1, 4], 'int32'));
    const sections = { theta: 1e6, sections: [2, 3, 3] };
    const mixed = rotaryTables(sections, 16, tf.tensor2d([row, row, row], [3, 4], 'int32'));
    expect(largestDifference(plain.cos, mixed.cos)).toBe(0);
    expect(largestDifference(plain.sin, mixed.sin)).toBe(0);
  });

  it('shares the frequencies out among the rows, contiguously', () => {
    const positions = tf.tensor2d([[5], [7], [11]], [3, 1], 'int32');
    const { cos } = rotaryTables({ theta: 1e4, sections: [1, 2, 1] }, 8, positions);
    const inverse = inverseFrequencies(1e4, 8);
    const expected = [5, 7, 7, 11].map((position, i) => Math.cos(position * inverse[i]!));
    cos.dataSync().forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i]!, 5);
    });
  });

  it('divides the frequencies under linear scaling', () => {
    const scaling = { kind: 'linear', factor: 4 } as const;
    const scaled = rotaryTables({ theta: 1e4, scaling }, 8, tf.tensor2d([[8]], [1, 1], 'int32'));
    const plain = rotaryTables({ theta: 1e4 }, 8, tf.tensor2d([[2]], [1, 1], 'int32'));
    expect(largestDifference(scaled.sin, plain.sin)).toBeLessThan(1e-6);
  });

  it('refuses sections that do not fill the head and missing rows', () => {
    const one = tf.tensor2d([[1]], [1, 1], 'int32');
    expect(() => rotaryTables({ theta: 1e4, sections: [1, 1] }, 8, one)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID' }),
    );
    expect(() => rotaryTables({ theta: 1e4, sections: [2, 2] }, 8, one)).toThrow(
      expect.objectContaining({ code: 'SHAPE_MISMATCH' }),
    );
  });
});
