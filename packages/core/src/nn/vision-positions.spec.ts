import { sizeOf, type Tensor, tf } from '@spatialsv/engine';
import { createRandom } from '../random.js';
import { expectAllclose } from '../testing/allclose.js';
import { resamplePositionEmbedding, rotary2d, rotate } from './vision-positions.js';

beforeAll(() => tf.setBackend('cpu'));

const random = (seed: number, shape: readonly number[]): Tensor => {
  const source = createRandom(seed);
  const size = sizeOf(shape);
  return tf.tensor(
    Float32Array.from({ length: size }, () => source.uniform(-0.5, 0.5)),
    [...shape],
  );
};

describe('rotary2d', () => {
  it('turns the first half of the channels by the row, the second by the column', () => {
    const { cos, sin } = rotary2d([2, 3], 16, { base: 100, form: 'halves' });
    // Values 0, 0.1 … 1.5 at row 2, column 3; from the reference in float64.
    const q = Array.from({ length: 16 }, (_, i) => i / 10);
    const [c, s] = [cos.dataSync(), sin.dataSync()];
    const turned = [0, 1].flatMap((half) => {
      const at = (k: number) => q[8 * half + k]!;
      const table = (values: ArrayLike<number>, k: number) => values[4 * half + k]!;
      const first = [0, 1, 2, 3].map((k) => at(k) * table(c, k) - at(k + 4) * table(s, k));
      const second = [0, 1, 2, 3].map((k) => at(k + 4) * table(c, k) + at(k) * table(s, k));
      return [...first, ...second];
    });
    // biome-ignore format: a row per half and quarter
    expectAllclose(turned, [
      -0.36371897, -0.21490572, 0.07681172, 0.25515782,
      -0.16645873, 0.46240192, 0.62777381, 0.71756149,
      -0.96133801, -0.53196526, 0.54160818, 0.95296457,
      -1.07509499, 1.48896372, 1.6329913, 1.5974537,
    ], { atol: 1e-6 });
  });

  it('gives a head the angles of its row, then those of its column', () => {
    // Qwen2.5-VL: 80 channels a head, frequencies 10000^(−k/20).
    const { cos, sin } = rotary2d([1, 3], 80, { base: 10000, form: 'head' });
    expect(cos.shape).toEqual([1, 40]);
    const inverse = (k: number) => 10000 ** (-k / 20);
    expect(cos.dataSync()[3]).toBeCloseTo(Math.cos(inverse(3)), 6);
    expect(cos.dataSync()[20 + 3]).toBeCloseTo(Math.cos(3 * inverse(3)), 6);
    expect(sin.dataSync()[20 + 10]).toBeCloseTo(Math.sin(3 * 0.01), 6);
  });
});

describe('rotate', () => {
  const x = random(5, [2, 3, 8]);
  const positions = [0, 0, 2, 1, 1, 3];

  it('turns head half against head half by tables of the form head', () => {
    const tables = rotary2d(positions, 8, { base: 50, form: 'head' });
    const [first, second] = tf.split(x, 2, -1) as [Tensor, Tensor];
    const expected = tf.concat(
      [
        tf.sub(tf.mul(first, tables.cos), tf.mul(second, tables.sin)),
        tf.add(tf.mul(second, tables.cos), tf.mul(first, tables.sin)),
      ],
      -1,
    );
    expectAllclose(rotate(x, tables).dataSync(), expected.dataSync(), { atol: 1e-6 });
  });

  it('turns each half by itself by tables of the form halves', () => {
    const tables = rotary2d(positions, 8, { base: 50, form: 'halves' });
    const axis = (index: number, part: Tensor) => {
      const rows = positions.filter((_, i) => i % 2 === index);
      const angles = rows.map((position) => [0, 1].map((k) => position * 50 ** (-k / 2)));
      const [cos, sin] = [tf.cos(tf.tensor2d(angles)), tf.sin(tf.tensor2d(angles))];
      const [a, b] = tf.split(part, 2, -1) as [Tensor, Tensor];
      const turned = [
        tf.sub(tf.mul(a, cos), tf.mul(b, sin)),
        tf.add(tf.mul(b, cos), tf.mul(a, sin)),
      ];
      return tf.concat(turned, -1);
    };
    const halves = tf.split(x, 2, -1) as [Tensor, Tensor];
    const expected = tf.concat([axis(0, halves[0]), axis(1, halves[1])], -1);
    expectAllclose(rotate(x, tables).dataSync(), expected.dataSync(), { atol: 1e-6 });
  });
});

describe('resamplePositionEmbedding', () => {
  it('takes tables without a class row, of any rank', () => {
    const plain = random(8, [9, 4]);
    const method = { kind: 'offset', offset: 0 } as const;
    const size = { h: 3, w: 3 };
    const found = resamplePositionEmbedding(plain, size, method).dataSync();
    expect([...found]).toEqual([...plain.dataSync()]);
  });

  const table = random(7, [1, 10, 4]);
  const grid = (h: number, w: number, kind: 'antialiased' | 'offset') =>
    resamplePositionEmbedding(
      table,
      { h, w },
      kind === 'offset' ? { kind, offset: 0.1 } : { kind },
    ).dataSync();

  it.each(['antialiased', 'offset'] as const)(
    'keeps the learnt grid at its own size: %s',
    (kind) => {
      expect([...grid(3, 3, kind)]).toEqual([...table.dataSync()].slice(4));
    },
  );

  it.each(['antialiased', 'offset'] as const)(
    'keeps a constant constant at any size: %s',
    (kind) => {
      const flat = tf.ones([1, 10, 4]);
      const method = kind === 'offset' ? ({ kind, offset: 0.1 } as const) : ({ kind } as const);
      for (const size of [
        { h: 2, w: 5 },
        { h: 7, w: 3 },
      ]) {
        const values = resamplePositionEmbedding(flat, size, method).dataSync();
        expectAllclose(values, Array(size.h * size.w * 4).fill(1), { atol: 1e-6 });
      }
    },
  );
});
