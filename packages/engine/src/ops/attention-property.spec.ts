import { compile } from '../compile.js';
import type { DeviceTensor } from '../devices/index.js';
import { differentiate } from '../differentiate.js';
import '../gradients.js';
import { float32 } from '../specs.js';
import { type Tensor, tf } from '../tfjs.js';
import { attention } from './attention.js';

interface Shape {
  readonly heads: number;
  readonly kvHeads: number;
  readonly rows: number;
  readonly keys: number;
  readonly keyWidth: number;
  readonly valueWidth: number;
  readonly causal: boolean;
  /** Shape of the mask; none where absent. */
  readonly mask?: readonly number[];
}

const HEADS = [
  [1, 1],
  [2, 1],
  [3, 3],
  [6, 2],
] as const;
/** Causal attention cuts its rows into tiles from 128 on; the others lie beside that and beside multiples of tiles. */
const ROWS = [1, 2, 7, 127, 128, 131, 200, 257];
const MORE_KEYS = [0, 1, 5, 70];
const MASKS = [
  undefined,
  (rows: number, keys: number) => [rows, keys],
  (_rows: number, keys: number) => [1, keys],
  (rows: number) => [rows, 1],
  (rows: number, keys: number, heads: number) => [heads, rows, keys],
  (rows: number, keys: number) => [1, rows, keys],
];

/** Every mask with and without causality, over sizes that go round at different paces. */
const SHAPES: readonly Shape[] = Array.from({ length: 48 }, (_, i) => {
  const [heads, kvHeads] = HEADS[i % HEADS.length]!;
  const rows = ROWS[(i * 5 + Math.floor(i / 8)) % ROWS.length]!;
  const keys = rows + MORE_KEYS[Math.floor(i / 3) % MORE_KEYS.length]!;
  const mask = MASKS[i % MASKS.length]?.(rows, keys, heads);
  const valueWidth = i % 5 === 0 ? 6 : 4;
  const shape = { heads, kvHeads, rows, keys, keyWidth: 4, valueWidth };
  return { ...shape, causal: Math.floor(i / 6) % 2 === 0, ...(mask && { mask }) };
});

const NOT_SEEN = -1e9;

/** softmax(scale · Q·Kᵀ + masks) · V, head by head. */
function reference(shape: Shape, inputs: Inputs): Tensor {
  const { heads, kvHeads, rows, keys } = shape;
  const seen = (row: number, key: number) => !shape.causal || key <= row + keys - rows;
  const causal = Float32Array.from({ length: rows * keys }, (_, i) =>
    seen(Math.floor(i / keys), i % keys) ? 0 : NOT_SEEN,
  );
  const outputs = Array.from({ length: heads }, (_, head) => {
    const part = (x: Tensor, index: number) =>
      tf.squeeze(tf.gather(x, [index]), [0]) as tf.Tensor2D;
    const kv = Math.floor((head * kvHeads) / heads);
    const products = tf.matMul(part(inputs.queries, head), part(inputs.keys, kv), false, true);
    let scores: Tensor = tf.add(tf.mul(products, SCALE), tf.tensor2d(causal, [rows, keys]));
    if (inputs.mask !== undefined) scores = tf.add(scores, ofHead(inputs.mask, head));
    return tf.matMul(tf.softmax(scores) as tf.Tensor2D, part(inputs.values, kv));
  });
  return tf.stack(outputs);
}

const ofHead = (mask: Tensor, head: number): Tensor =>
  mask.rank < 3 ? mask : tf.squeeze(tf.gather(mask, [mask.shape[0] === 1 ? 0 : head]), [0]);

interface Inputs {
  readonly queries: Tensor;
  readonly keys: Tensor;
  readonly values: Tensor;
  readonly mask?: Tensor;
}
const SCALE = 0.4;

/** Values of one form of attention, and its gradients by everything that is trained. */
function differentiated(form: (inputs: Inputs) => Tensor, { mask, ...trained }: Inputs) {
  const { outputs, gradients } = differentiate(
    (tensors) => {
      const given = tensors as Record<keyof typeof trained, Tensor>;
      const y = form({ ...given, ...(mask && { mask }) });
      const weights = tf.tensor(wave(sizeOf(y.shape), 0.9), y.shape);
      return { loss: tf.sum(tf.mul(y, weights)), y };
    },
    { ...trained },
  );
  return { y: outputs.y, ...gradients };
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
const wave = (size: number, pace: number): Float32Array =>
  Float32Array.from({ length: size }, (_, i) => 1.5 * Math.sin(pace * i + 1));
/** Some keys are not seen at all, others less. */
const maskValues = (size: number): Float32Array =>
  Float32Array.from({ length: size }, (_, i) => (i % 7 === 3 ? NOT_SEEN : Math.cos(i)));

function specsAndValues(shape: Shape) {
  const { heads, kvHeads, rows, keys, keyWidth, valueWidth, mask } = shape;
  const shapes = {
    queries: [heads, rows, keyWidth],
    keys: [kvHeads, keys, keyWidth],
    values: [kvHeads, keys, valueWidth],
    ...(mask && { mask }),
  };
  const entries = Object.entries(shapes);
  return {
    specs: Object.fromEntries(entries.map(([name, dims]) => [name, float32(...dims)])),
    values: Object.fromEntries(
      entries.map(([name, dims], i) => [
        name,
        name === 'mask' ? maskValues(sizeOf(dims)) : wave(sizeOf(dims), 0.37 + 0.24 * i),
      ]),
    ),
  };
}

const name = ({ heads, kvHeads, rows, keys, valueWidth, mask, causal }: Shape): string =>
  `${heads}/${kvHeads} heads, ${rows} rows, ${keys} keys of ${valueWidth}${causal ? ', causal' : ''}${mask ? `, mask (${mask})` : ''}`;

describe('attention', () => {
  it.each(SHAPES.map((shape) => [name(shape), shape] as const))(
    'equals the composed form, and so do its gradients: %s',
    async (_, shape) => {
      const { causal } = shape;
      const fast = ({ queries, keys, values, mask }: Inputs) =>
        attention(queries, keys, values, { scale: SCALE, causal, mask });
      const both = (inputs: Inputs) => ({
        plain: fast(inputs),
        fast: differentiated(fast, inputs),
        exact: differentiated((given) => reference(shape, given), inputs),
      });
      const { specs, values } = specsAndValues(shape);
      const program = await compile(both, specs);
      const outputs = (await program.run(values)) as {
        plain: DeviceTensor;
        fast: Record<string, DeviceTensor>;
        exact: Record<string, DeviceTensor>;
      };
      await expectClose(outputs.plain, outputs.exact['y']!);
      for (const each of Object.keys(outputs.exact)) {
        await expectClose(outputs.fast[each]!, outputs.exact[each]!);
      }
      await program.dispose();
    },
  );

  it.each([
    [
      'heads that the heads of keys do not divide',
      [3, 4, 2],
      [2, 4, 2],
      [2, 4, 2],
      undefined,
      false,
    ],
    ['widths that differ', [2, 4, 2], [2, 4, 3], [2, 4, 2], undefined, false],
    ['another number of values than keys', [2, 4, 2], [2, 4, 2], [2, 5, 2], undefined, false],
    ['a mask that does not fit', [2, 4, 2], [2, 4, 2], [2, 4, 2], [4, 3], false],
    ['a mask for other heads', [2, 4, 2], [2, 4, 2], [2, 4, 2], [3, 4, 4], false],
    ['causal queries before the first key', [2, 5, 2], [2, 4, 2], [2, 4, 2], undefined, true],
  ] as const)('refuses %s', (_, queries, keys, values, mask, causal) => {
    const zeros = (shape: readonly number[]) => tf.zeros([...shape]);
    const options = { scale: 1, causal, ...(mask && { mask: zeros(mask) }) };
    expect(() => attention(zeros(queries), zeros(keys), zeros(values), options)).toThrow(
      expect.objectContaining({ code: 'PROGRAM_INVALID' }),
    );
  });
});

/** Sums of up to 330 products in another order. */
const TOLERANCE = 2e-5;

async function expectClose(found: DeviceTensor, expected: DeviceTensor): Promise<void> {
  expect(found.shape).toEqual(expected.shape);
  const [a, b] = [await found.read(), await expected.read()];
  const errors = Array.from(a, (value, i) => Math.abs(value - b[i]!) / (1 + Math.abs(b[i]!)));
  expect(Math.max(...errors)).toBeLessThan(TOLERANCE);
}
