import { existsSync, readFileSync } from 'node:fs';
import koffi from 'koffi';
import { createFlatTensors } from '../flat-tensors.js';
import { Graph } from '../graph/graph.js';
import { encodeModel } from '../onnx/encode.js';
import { float32 } from '../specs.js';
import { inHugePages, useHugePages } from './huge-pages.js';
import { DeviceValue, Session } from './index.js';

jest.mock('./huge-pages.js', () => {
  const real = jest.requireActual<typeof import('./huge-pages.js')>('./huge-pages.js');
  return { ...real, useHugePages: jest.fn(real.useHugePages) };
});
const asked = jest.mocked(useHugePages);

interface Mapping {
  readonly from: bigint;
  readonly to: bigint;
  readonly flags: readonly string[];
}

/** What Linux says of the memory of this process. */
function mappings(): Mapping[] {
  const parts = readFileSync('/proc/self/smaps', 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  return parts.map((part) => {
    const [from, to] = part.split(/[- ]/, 2).map((digits) => BigInt(`0x${digits}`));
    const flags = /^VmFlags: (.*)$/m.exec(part)?.[1]?.trim().split(' ') ?? [];
    return { from: from!, to: to!, flags };
  });
}

/** Mappings for which huge pages were asked. */
const advised = () => mappings().filter(({ flags }) => flags.includes('hg'));

/** Whether the middle of so many bytes is to lie in huge pages. */
function isAdvisedAt(address: bigint, bytes: number): boolean {
  const middle = address + BigInt(bytes / 2);
  return advised().some(({ from, to }) => from <= middle && middle < to);
}

const isAdvised = (array: Float32Array) => isAdvisedAt(koffi.address(array), array.byteLength);

/** Linux can be built without them. */
const hasThem = existsSync('/sys/kernel/mm/transparent_hugepage');

(hasThem ? describe : describe.skip)('huge pages', () => {
  it('are asked for whole ones inside of an array, which stays as it is', () => {
    // Larger than what the C library takes from memory that others gave back.
    const [plain, large] = [new Float32Array(2 ** 24), inHugePages(new Float32Array(2 ** 24))];
    expect([isAdvised(plain), isAdvised(large)]).toEqual([false, true]);
    expect(large.every((value) => value === 0)).toBe(true);
    const start = koffi.address(large);
    const inside = advised().find(({ from }) => from >= start && from < start + 2n ** 21n)!;
    expect(inside.from % 2n ** 21n).toBe(0n);
    expect(inside.to % 2n ** 21n).toBe(0n);
    expect(inside.to - start).toBeLessThanOrEqual(BigInt(large.byteLength));
  });

  it('are left alone by short arrays', () => {
    const short = inHugePages(new Float32Array(8));
    expect(Array.from(short)).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  });

  it('hold what is trained', () => {
    const { arrays } = createFlatTensors({ weight: float32(2048, 2048) });
    expect(arrays.map(isAdvised)).toEqual([true]);
  });

  /** Runs a small program that says that it needs so many bytes. */
  async function runWithin(workingBytes: number): Promise<void> {
    const graph = new Graph();
    const type = { shape: [8], dtype: 'float32' } as const;
    graph.output('y', graph.add('Neg', [graph.input('x', type)], type));
    const session = await Session.create(encodeModel(graph), { provider: 'cpu', workingBytes });
    const binding = session.createBinding();
    binding.bindInput('x', DeviceValue.fromHost(new Float32Array(8), 'float32', [8]));
    binding.bindOutput('y', DeviceValue.fromHost(new Float32Array(8), 'float32', [8]));
    await binding.run();
    session.dispose();
  }

  it('hold the place where a program works that needs much, and of no other', async () => {
    await runWithin(2 ** 20);
    expect(asked).not.toHaveBeenCalled();
    await runWithin(2 ** 28);
    expect(asked.mock.calls).toEqual([[expect.anything(), 2 ** 28]]);
    expect(isAdvisedAt(...asked.mock.calls[0]!)).toBe(true);
  });
});
