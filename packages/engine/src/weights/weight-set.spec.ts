import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  compile,
  type DeviceTensor,
  float32,
  type MappedTensor,
  ops,
  type Program,
  type Tensor,
  type Tree,
  tf,
  WeightSet,
} from '../index.js';
import { mappedFileCount } from './stored-values.js';

type Inputs = Record<string, Tensor>;
const program = (f: (inputs: Inputs) => Tree<Tensor>): Program => f;

const [OUT, IN] = [40, 24];
const linear = program(({ w, x }: Inputs) => ({
  y: ops.linear(x!, w!),
  part: ops.linear(x!, tf.slice(w!, [8, 0], [16, IN])),
}));

let folder: string;
let tensors: Record<'a' | 'b', MappedTensor>;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'weight-set-'));
  const file = path.join(folder, 'model.bin');
  // Every exponent and sign that a weight may have, subnormal numbers among them.
  const bits = Uint16Array.from({ length: 2 * OUT * IN }, (_, i) => (i * 2654435761) >>> 16);
  const isNumber = (word: number) => (word & 0x7f80) !== 0x7f80;
  const words = bits.map((word) => (isNumber(word) && (word & 0x7fff) < 0x5000 ? word : 0x3f80));
  await writeFile(file, new Uint8Array(words.buffer));
  const byteLength = 2 * OUT * IN;
  const tensor = { kind: 'mapped', shape: [OUT, IN], storedAs: 'BF16', file, byteLength } as const;
  tensors = { a: { ...tensor, byteOffset: 0 }, b: { ...tensor, byteOffset: byteLength } };
});
afterEach(async () => {
  await rm(folder, { recursive: true });
  expect(mappedFileCount()).toBe(0);
});

const x = Float32Array.from({ length: 3 * IN }, (_, i) => Math.sin(i));

/** Products of both weights by one program. */
async function productsOf(weights: WeightSet): Promise<Float32Array[]> {
  const compiled = await compile(linear, { w: weights.spec('a'), x: float32(3, IN) });
  const products: Float32Array[] = [];
  for (const name of ['a', 'b', 'a']) {
    const outputs = await compiled.run({ w: weights.value(name), x });
    for (const tensor of Object.values(outputs as Record<string, DeviceTensor>))
      products.push((await tensor.read()) as Float32Array);
  }
  await compiled.dispose();
  return products;
}

describe('a set of weights', () => {
  it('gives exactly the same from its file and from a float32 copy', async () => {
    const mapped = new WeightSet(tensors, { policy: 'mapped' });
    const copied = new WeightSet(tensors, { policy: 'float32' });
    const expected = await productsOf(mapped);
    expect(await productsOf(copied)).toEqual(expected);
    await copied.load();
    expect(await productsOf(copied)).toEqual(expected);
    expect(expected[0]).not.toEqual(expected[2]);
    expect(expected[0]!.every(Number.isFinite)).toBe(true);
    await mapped.dispose();
    await copied.dispose();
  });

  it('is what a program may have once and for all', async () => {
    const weights = new WeightSet(tensors, { policy: 'float32' });
    const compiled = await compile(linear, { w: weights.value('b'), x: float32(3, IN) });
    const { y } = (await compiled.run({ x })) as Record<string, DeviceTensor>;
    const expected = (await productsOf(weights))[2];
    expect(await y!.read()).toEqual(expected);
    await compiled.dispose();
  });

  it('may be the first that a process does with the engine', () => {
    const fixture = path.join(__dirname, '__fixtures__/load-first.cjs');
    const register = path.join(__dirname, '../executor/__fixtures__/register.cjs');
    const parameters = ['-r', register, fixture, JSON.stringify([tensors.a])];
    const child = spawnSync(process.execPath, parameters, { encoding: 'utf8' });
    expect({ out: child.stdout, errors: child.stderr }).toEqual({ out: 'loaded', errors: '' });
  });

  it('says which of its weights is unknown', () => {
    const weights = new WeightSet(tensors);
    expect(weights.names).toEqual(['a', 'b']);
    expect(weights.has('c')).toBe(false);
    expect(() => weights.spec('c')).toThrow(expect.objectContaining({ code: 'INPUT_INVALID' }));
  });
});

describe('what programs read of weights', () => {
  const COPY = 2 * 4 * OUT * IN;
  const policyOf = (options: ConstructorParameters<typeof WeightSet>[1]) =>
    new WeightSet(tensors, options).report.policy;

  it('is a float32 copy where it fits and leaves room to work in', () => {
    const small = COPY + 2 ** 31;
    expect(policyOf({ availableBytes: small })).toBe('float32');
    expect(policyOf({ availableBytes: small - 1 })).toBe('mapped');
    const { report } = new WeightSet(tensors, { availableBytes: small });
    expect(report).toMatchObject({ storedBytes: COPY / 2, copiedBytes: COPY });
    expect(report.reason).toMatch(/GB are available/);
  });

  it('takes at most a share of what is available, whatever its size', () => {
    const huge = { ...tensors.a, shape: [2 ** 20, 2 ** 12], byteLength: 2 ** 33 };
    const policy = (availableBytes: number) =>
      new WeightSet({ huge }, { availableBytes }).report.policy;
    expect(policy(2 ** 34 / 0.75)).toBe('float32');
    expect(policy(2 ** 34 / 0.75 - 1)).toBe('mapped');
  });

  it('is what was asked for, and the file on a GPU or where it holds float32', () => {
    expect(policyOf({ policy: 'float32', availableBytes: 0 })).toBe('float32');
    expect(policyOf({ policy: 'mapped', availableBytes: 2 ** 40 })).toBe('mapped');
    expect(policyOf({ policy: 'float32', device: 'webgpu' })).toBe('mapped');
    const wide = { w: { ...tensors.a, storedAs: 'F32', shape: [OUT, IN / 2] } as const };
    expect(new WeightSet(wide, { policy: 'float32' }).report.policy).toBe('mapped');
  });
});
