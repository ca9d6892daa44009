import { readFileSync } from 'node:fs';
import { mkdtemp, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  compile,
  createTensor,
  type DeviceTensor,
  float32,
  int32,
  type MappedTensor,
  ops,
  type Program,
  type StoredType,
  type Tensor,
  type Tree,
  tf,
  weightSpec,
} from '../index.js';
import { trace } from '../trace/trace.js';
import { mappedFileCount } from './stored-values.js';

type Inputs = Record<string, Tensor>;
type Outputs = Record<string, DeviceTensor>;

const program = (f: (inputs: Inputs) => Tree<Tensor>): Program => f;
const rows = program(({ w, x }: Inputs) => ({ y: ops.linear(x!, w!) }));

const NUMBERS = Float32Array.of(1.5, -2, 0.25, 8, -0.5, 3, 0.5, 1, 2, -1, 4, 16);
/** NUMBERS are two matrices (2, 3), one after the other; these are their products with X. */
const X = Float32Array.of(1, 10, 100);
const FIRST = [1.5 - 20 + 25, 8 - 5 + 300];
const SECOND = [0.5 + 10 + 200, -1 + 40 + 1600];

const BYTES: Record<StoredType, Uint8Array> = {
  F32: new Uint8Array(NUMBERS.buffer),
  BF16: new Uint8Array(
    Uint16Array.from(new Uint32Array(NUMBERS.buffer), (bits) => bits >>> 16).buffer,
  ),
  F16: new Uint8Array(
    Uint16Array.of(
      ...[0x3e00, 0xc000, 0x3400, 0x4800, 0xb800, 0x4200],
      ...[0x3800, 0x3c00, 0x4000, 0xbc00, 0x4400, 0x4c00],
    ).buffer,
  ),
};
const TYPES = ['F32', 'BF16', 'F16'] as const;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'weights-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
  expect(mappedFileCount()).toBe(0);
});

/** A file of NUMBERS behind `offset` bytes, and its two matrices. */
async function store(storedAs: StoredType, offset: number): Promise<[MappedTensor, MappedTensor]> {
  const file = path.join(folder, `${storedAs}-${offset}.bin`);
  await writeFile(file, Buffer.concat([Buffer.alloc(offset), BYTES[storedAs]]));
  const byteLength = BYTES[storedAs].byteLength / 2;
  const tensor = { kind: 'mapped', shape: [2, 3], storedAs, file, byteLength } as const;
  return [
    { ...tensor, byteOffset: offset },
    { ...tensor, byteOffset: offset + byteLength },
  ];
}

const valuesOf = async (outputs: unknown, name = 'y'): Promise<number[]> =>
  Array.from(await (outputs as Outputs)[name]!.read());

/** Lines of the list of mappings that name a file; undefined where the system has no such list. */
function mappingsOf(file: string, list = 'maps'): string[] | undefined {
  if (process.platform !== 'linux') return undefined;
  const text = readFileSync(`/proc/self/${list}`, 'utf8');
  const mappings = text.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  return mappings.filter((mapping) => mapping.split('\n')[0]!.endsWith(` ${file}`));
}

/** Bytes of a mapped file in the resident memory of this process. */
const residentBytes = (file: string): number =>
  mappingsOf(file, 'smaps')!
    .map((mapping) => 1024 * Number(/Rss:\s+(\d+)/.exec(mapping)![1]))
    .reduce((sum, size) => sum + size, 0);

const onLinux = process.platform === 'linux' ? it : it.skip;
if (process.platform !== 'linux') {
  console.warn('Resident memory is measured on Linux only: its tests are skipped.');
}

describe('weights as inputs', () => {
  it('are mapped once for two programs, and unmapped after the last', async () => {
    const [w] = await store('F32', 64);
    const first = await compile(rows, { w, x: float32(1, 3) });
    const second = await compile(rows, { w, x: float32(2, 3) });
    expect(mappedFileCount()).toBe(1);
    if (mappingsOf(w.file) !== undefined) expect(mappingsOf(w.file)).toHaveLength(1);
    expect(await valuesOf(await first.run({ x: X }))).toEqual(FIRST);
    await first.dispose();
    const twice = Float32Array.of(...X, ...X);
    expect(await valuesOf(await second.run({ x: twice }))).toEqual([...FIRST, ...FIRST]);
    await second.dispose();
    expect(mappingsOf(w.file) ?? []).toEqual([]);
  });

  it.each(TYPES)('are given at each run: one program for two layers of %s', async (storedAs) => {
    const [first, second] = await store(storedAs, 64);
    for (const device of ['cpu', 'tfjs-cpu']) {
      const specs = { w: weightSpec(first), x: float32(1, 3) };
      const compiled = await compile(rows, specs, { device });
      expect(await valuesOf(await compiled.run({ w: first, x: X }))).toEqual(FIRST);
      expect(await valuesOf(await compiled.run({ w: second, x: X }))).toEqual(SECOND);
      expect(await valuesOf(await compiled.run({ w: first, x: X }))).toEqual(FIRST);
      await compiled.dispose();
    }
  });

  it('may be a float32 tensor of the device instead', async () => {
    const [first, second] = await store('F32', 64);
    const cut = program(({ w, x }) => ({
      y: ops.linear(x!, w!),
      last: ops.linear(x!, tf.slice(w!, [1, 0], [1, 3])),
    }));
    for (const device of ['cpu', 'tfjs-cpu']) {
      const compiled = await compile(cut, { w: weightSpec(first), x: float32(1, 3) }, { device });
      const w = createTensor(float32(2, 3), NUMBERS.slice(6), device);
      for (const [given, expected] of [
        [first, FIRST],
        [w, SECOND],
        [second, SECOND],
      ] as const) {
        const outputs = await compiled.run({ w: given, x: X });
        expect(await valuesOf(outputs)).toEqual(expected);
        expect(await valuesOf(outputs, 'last')).toEqual(expected.slice(1));
      }
      w.dispose();
      await compiled.dispose();
    }
  });

  it.each(TYPES)('may lie at any byte: %s', async (storedAs) => {
    const [, second] = await store(storedAs, 65);
    const compiled = await compile(rows, { w: second, x: float32(1, 3) });
    expect(await valuesOf(await compiled.run({ x: X }))).toEqual(SECOND);
    await compiled.dispose();
  });

  it.each(TYPES)('are cut into rows without a copy, also given at a run: %s', async (storedAs) => {
    const [first, second] = await store(storedAs, 64);
    const cut = program(({ w, x }) => ({ y: ops.linear(x!, tf.slice(w!, [1, 0], [1, 3])) }));
    const specs = { w: weightSpec(first), x: float32(1, 3) };
    expect(trace(cut, specs).graph.nodes.map(({ operator }) => operator)).not.toContain('Slice');
    const compiled = await compile(cut, specs);
    expect(await valuesOf(await compiled.run({ w: first, x: X }))).toEqual(FIRST.slice(1));
    expect(await valuesOf(await compiled.run({ w: second, x: X }))).toEqual(SECOND.slice(1));
    await compiled.dispose();
  });

  it('become float32 after the rows of a table were gathered, not before', async () => {
    const [first] = await store('BF16', 64);
    const gather = program(({ w, at }) => ({ y: tf.gather(w!, at as tf.Tensor1D) }));
    const specs = { w: first, at: int32(3) };
    const operators = trace(gather, specs).graph.nodes.map(({ operator }) => operator);
    expect(operators.indexOf('Gather')).toBeLessThan(operators.indexOf('Cast'));
    const compiled = await compile(gather, specs);
    const y = await valuesOf(await compiled.run({ at: Int32Array.of(1, 0, 1) }));
    expect(y).toEqual([8, -0.5, 3, 1.5, -2, 0.25, 8, -0.5, 3]);
    await compiled.dispose();
  });

  it('of a file that was replaced are the new ones for programs compiled later', async () => {
    const [w] = await store('F32', 64);
    const before = await compile(rows, { w, x: float32(1, 3) });
    const [other] = await store('F32', 128);
    await writeFile(other.file, Buffer.concat([Buffer.alloc(64), BYTES.F32.subarray(24)]));
    await rename(other.file, w.file);
    const after = await compile(rows, { w, x: float32(1, 3) });
    expect(await valuesOf(await before.run({ x: X }))).toEqual(FIRST);
    expect(await valuesOf(await after.run({ x: X }))).toEqual(SECOND);
    await before.dispose();
    await after.dispose();
  });

  onLinux('leave resident memory after a run that says so, and come back', async () => {
    const side = 2048;
    const file = path.join(folder, 'large.bin');
    await writeFile(file, new Uint8Array(new Float32Array(2 * side * side).fill(0.5).buffer));
    const byteLength = 4 * side * side;
    const tensor = { kind: 'mapped', shape: [side, side], storedAs: 'F32', file } as const;
    const at = (byteOffset: number): MappedTensor => ({ ...tensor, byteOffset, byteLength });
    const [w, other] = [at(0), at(byteLength)];
    const specs = { w: weightSpec(tensor), x: float32(4, side) };
    const compiled = await compile(rows, specs);
    const x = new Float32Array(4 * side).fill(1);
    const run = async (given: MappedTensor, release: boolean) =>
      (await valuesOf(await compiled.run({ w: given, x }, {}, { release })))[0];
    expect(await run(other, false)).toBe(side / 2);
    expect(await run(w, false)).toBe(side / 2);
    expect(residentBytes(file)).toBeGreaterThanOrEqual(2 * byteLength);
    expect(await run(w, true)).toBe(side / 2);
    // What this run has read goes, what another has read stays.
    expect(residentBytes(file)).toBeGreaterThanOrEqual(byteLength);
    expect(residentBytes(file)).toBeLessThan(byteLength + 2 ** 18);
    expect(await run(other, true)).toBe(side / 2);
    expect(residentBytes(file)).toBe(0);
    expect(await run(w, false)).toBe(side / 2);
    await compiled.dispose();
  });
});

describe('weights that cannot be', () => {
  const invalid = { code: 'FILE_INVALID', hint: expect.stringContaining('fetch it again') };

  it('in a file that ends too early, or is not there', async () => {
    const [first, second] = await store('BF16', 64);
    await truncate(first.file, 64 + 12 + 11);
    const specs = { w: weightSpec(first), x: float32(1, 3) };
    await expect(compile(rows, { ...specs, w: second })).rejects.toMatchObject(invalid);
    const compiled = await compile(rows, specs);
    expect(await valuesOf(await compiled.run({ w: first, x: X }))).toEqual(FIRST);
    await expect(compiled.run({ w: second, x: X })).rejects.toMatchObject(invalid);
    const missing = { ...first, file: path.join(folder, 'none.bin') };
    await expect(compiled.run({ w: missing, x: X })).rejects.toMatchObject({
      code: 'FILE_INVALID',
    });
    expect(await valuesOf(await compiled.run({ w: first, x: X }))).toEqual(FIRST);
    await compiled.dispose();
  });

  const unfitting: readonly (readonly [string, () => Promise<unknown>])[] = [
    ['another type', async () => (await store('F16', 64))[0]],
    ['another shape', async () => ({ ...(await store('BF16', 64))[0], shape: [3, 2] })],
    ['float32 for 16 bits', async () => createTensor(float32(2, 3))],
    ['an array', async () => new Float32Array(6)],
    ['nothing', async () => undefined],
  ];
  it.each(unfitting)('given as %s', async (_, make) => {
    const [first] = await store('BF16', 64);
    const compiled = await compile(rows, { w: weightSpec(first), x: float32(1, 3) });
    const w = await make();
    const inputs = { x: X, ...(w !== undefined && { w }) };
    await expect(compiled.run(inputs as never)).rejects.toMatchObject({ code: 'INPUT_INVALID' });
    await compiled.dispose();
  });
});
