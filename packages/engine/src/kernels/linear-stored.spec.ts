import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { environment } from '../executor/environment.js';
import { liveHandles, Session } from '../executor/index.js';
import {
  compile,
  createTensor,
  type DeviceTensor,
  float32,
  type MappedTensor,
  ops,
  pinKernels,
  type Tensor,
  tf,
  WeightSet,
} from '../index.js';
import { trace } from '../trace/trace.js';

type Inputs = Record<string, Tensor>;
const biased = ({ w, b, x }: Inputs) => ({
  y: ops.linear(x!, w!, b),
});
const plain = ({ w, x }: Inputs) => ({ y: ops.linear(x!, w!) });

/** Four chunks, the last one shorter, and an odd number of inputs. */
const [OUT, IN] = [2050, 1201];

process.env['SPATIALSV_KERNELS'] = '';
/** Whatever this machine would choose. */
async function choose(way: string): Promise<void> {
  const kernels = [{ kind: 'stored-product', size: { rows: 1, channels: IN }, chosen: way }];
  expect(await pinKernels({ block: null, kernels, override: '' })).toBe(true);
}

let folder: string;
let w: MappedTensor;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'linear-'));
  const file = path.join(folder, 'w.bin');
  const numbers = Float32Array.from({ length: OUT * IN }, (_, i) => Math.sin(i * 0.37));
  const halves = Uint16Array.from(new Uint32Array(numbers.buffer), (bits) => bits >>> 16);
  await writeFile(file, new Uint8Array(halves.buffer));
  const byteLength = 2 * OUT * IN;
  w = { kind: 'mapped', shape: [OUT, IN], storedAs: 'BF16', file, byteOffset: 0, byteLength };
});
afterAll(() => rm(folder, { recursive: true }));

const b = Float32Array.from({ length: OUT }, (_, i) => i / 100);

async function productOf(
  weight: MappedTensor,
  rows: number,
  bias: boolean,
  name = 'product',
): Promise<Float32Array> {
  const x = Float32Array.from({ length: rows * IN }, (_, i) => Math.cos(i));
  const given = bias ? { b: float32(OUT) } : {};
  const specs = { w: weight, x: float32(rows, IN), ...given };
  const compiled = await compile(bias ? biased : plain, specs, { name });
  const { y } = (await compiled.run(bias ? { x, b } : { x })) as Record<string, DeviceTensor>;
  const data = (await y!.read()) as Float32Array;
  await compiled.dispose();
  return data;
}

const operatorsOf = (rows: number): string[] =>
  trace(plain, { w, x: float32(rows, IN) }).graph.nodes.map(({ operator }) => operator);

describe('products of few rows with a weight in 16 bits', () => {
  it('read it in chunks, and those of many rows as a whole', () => {
    const few = [...Array(4).fill(['Cast', 'Gemm']).flat(), 'Concat'];
    expect(operatorsOf(1)).toEqual(few);
    expect(operatorsOf(32)).toEqual(few);
    expect(operatorsOf(33)).toEqual(['Cast', 'Gemm']);
  });

  it.each([
    [1, false, 'single-threaded'],
    [1, true, 'in-pieces'],
    [7, true, 'single-threaded'],
    [7, false, 'in-pieces'],
  ])('of %i rows are those with its float32 copy (bias: %s, %s)', async (rows, bias, way) => {
    await choose(way);
    const copied = new WeightSet({ w }, { policy: 'float32' });
    const expected = await productOf(copied.value('w'), rows, bias);
    const found = await productOf(w, rows, bias);
    // Sums of 1,201 products in another order.
    const worst = found.reduce(
      (most, value, i) => Math.max(most, Math.abs(value - expected[i]!)),
      0,
    );
    expect(found).toHaveLength(rows * OUT);
    expect(worst).toBeLessThan(1e-4);
    await copied.dispose();
  });

  it.each([
    ['single-threaded', 1, [1]],
    // By turns one piece and, where there are two threads, two.
    ['in-pieces', 1, Array(1 + Math.min(2, environment().threads)).fill(1)],
    ['plain', 1, [undefined]],
    ['in-pieces', 33, [undefined]],
  ])(
    'run %s where that was measured to be faster: those of %i rows',
    async (way, rows, threads) => {
      await choose(way);
      const create = jest.spyOn(Session, 'create');
      // Another name than before, as sessions of one name are used again.
      await productOf(w, rows, true, 'counted');
      const made = create.mock.calls.filter(([, { name }]) => name === 'counted');
      expect(made.map(([, options]) => options.threads)).toEqual(threads);
      create.mockRestore();
    },
  );

  it.each(['plain', 'in-pieces'])('keep state that is written in place (%s)', async (way) => {
    await choose(way);
    const program = ({ w: weight, x, sum }: Inputs) => ({
      sum: tf.add(sum!, ops.linear(x!, weight!)),
    });
    const specs = { w, x: float32(1, IN), sum: float32(1, OUT) };
    const compiled = await compile(program, specs, { state: ['sum'], name: 'summed' });
    const x = Float32Array.from({ length: IN }, (_, i) => Math.cos(i));
    const sum = createTensor(float32(1, OUT));
    await compiled.run({ x, sum });
    const once = Float32Array.from((await sum.read()) as Float32Array);
    await compiled.run({ x, sum });
    const twice = (await sum.read()) as Float32Array;
    expect(Math.max(...once)).toBeGreaterThan(0.1);
    expect(Array.from(twice)).toEqual(Array.from(once, (value) => Math.fround(2 * value)));
    await compiled.dispose();
    sum.dispose();
  });

  it('in pieces tell which run failed, and leave nothing behind', async () => {
    await choose('in-pieces');
    const before = liveHandles();
    const file = path.join(folder, 'short.bin');
    await writeFile(file, new Uint8Array(16));
    await expect(productOf({ ...w, file }, 1, false)).rejects.toMatchObject({
      code: 'FILE_INVALID',
    });
    expect(liveHandles()).toBe(before);
  });
});
