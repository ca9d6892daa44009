import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Session } from '../executor/index.js';
import {
  compile,
  type DeviceTensor,
  float32,
  type MappedTensor,
  ops,
  type Program,
  type Tensor,
  WeightSet,
} from '../index.js';
import { trace } from '../trace/trace.js';

type Inputs = Record<string, Tensor>;
const biased = (({ w, b, x }: Inputs) => ({
  y: ops.linear(x!, w!, b),
})) as unknown as Program;
const plain = (({ w, x }: Inputs) => ({ y: ops.linear(x!, w!) })) as unknown as Program;

/** Three chunks, the last one shorter, and an odd number of inputs. */
const [OUT, IN] = [2050, 1201];

/** Whatever this machine would choose. */
process.env['SPATIALSV_KERNELS'] = 'stored-product=single-threaded';

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
    const few = ['Cast', 'Gemm', 'Cast', 'Gemm', 'Cast', 'Gemm', 'Concat'];
    expect(operatorsOf(1)).toEqual(few);
    expect(operatorsOf(32)).toEqual(few);
    expect(operatorsOf(33)).toEqual(['Cast', 'Gemm']);
  });

  it.each([
    [1, false],
    [1, true],
    [7, true],
  ])('of %i rows are those with its float32 copy (bias: %s)', async (rows, bias) => {
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

  it('run on one thread where that was measured to be faster, those of many rows on all', async () => {
    const create = jest.spyOn(Session, 'create');
    for (const [rows, threads] of [
      [1, 1],
      [33, undefined],
    ] as const) {
      create.mockClear();
      // Another name than before, as sessions of one name are used again; others belong to the measurement of this machine.
      await productOf(w, rows, true, 'counted');
      const made = create.mock.calls.filter(([, { name }]) => name === 'counted');
      expect(made.map(([, options]) => options.threads)).toEqual([threads]);
    }
    create.mockRestore();
  });
});
