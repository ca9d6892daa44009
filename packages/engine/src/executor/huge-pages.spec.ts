import { existsSync, readFileSync } from 'node:fs';
import koffi from 'koffi';
import { createFlatTensors } from '../flat-tensors.js';
import { Graph } from '../graph/graph.js';
import { encodeModel } from '../onnx/encode.js';
import { float32 } from '../specs.js';
import { inHugePages } from './huge-pages.js';
import { DeviceValue, Session } from './index.js';

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

/** Mappings for which large pages were asked. */
const advised = () => mappings().filter(({ flags }) => flags.includes('hg'));

const advisedBytes = () => advised().reduce((sum, { from, to }) => sum + to - from, 0n);

/** Whether the middle of an array is to lie in large pages. */
function isAdvised(array: Float32Array): boolean {
  const middle = koffi.address(array) + BigInt(array.byteLength / 2);
  return advised().some(({ from, to }) => from <= middle && middle < to);
}

/** Linux can be built without them. */
const hasThem = existsSync('/sys/kernel/mm/transparent_hugepage');

(hasThem ? describe : describe.skip)('large pages', () => {
  it('are asked for whole ones inside of an array, which stays as it is', () => {
    const [plain, large] = [new Float32Array(2 ** 22), inHugePages(new Float32Array(2 ** 22))];
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

  it.each([
    ['nothing for a program that needs little', 2 ** 20, 0n, 0n],
    ['the place where a program will work', 2 ** 28, 2n ** 28n - 2n ** 22n, 2n ** 28n],
  ])('hold %s', async (_place, workingBytes, atLeast, atMost) => {
    const graph = new Graph();
    const type = { shape: [8], dtype: 'float32' } as const;
    graph.output('y', graph.add('Neg', [graph.input('x', type)], type));
    const session = await Session.create(encodeModel(graph), { provider: 'cpu', workingBytes });
    const binding = session.createBinding();
    binding.bindInput('x', DeviceValue.fromHost(new Float32Array(8), 'float32', [8]));
    binding.bindOutput('y', DeviceValue.fromHost(new Float32Array(8), 'float32', [8]));
    const before = advisedBytes();
    await binding.run();
    const held = advisedBytes() - before;
    expect(held).toBeGreaterThanOrEqual(atLeast);
    expect(held).toBeLessThanOrEqual(atMost);
    session.dispose();
  });
});
