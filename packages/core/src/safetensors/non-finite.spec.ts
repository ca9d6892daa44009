import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { withTemporaryFolder } from '../testing/temporary-folder.js';
import { findNonFinite, nonFiniteWeights } from './non-finite.js';
import { openSafetensors } from './reader.js';
import { float32Source, writeSafetensors } from './writer.js';

const holding = (size: number, values: Readonly<Record<number, number>>) =>
  Float32Array.from({ length: size }, (_, i) => values[i] ?? i / 7);

describe('findNonFinite', () => {
  it('gives the first value that is not finite and the number of them', () => {
    expect(findNonFinite(holding(9, {}))).toBeUndefined();
    expect(findNonFinite(new Float32Array(0))).toBeUndefined();
    expect(findNonFinite(holding(9, { 4: -Infinity, 7: NaN }))).toEqual({
      index: 4,
      value: -Infinity,
      count: 2,
    });
  });
});

describe('nonFiniteWeights', () => {
  it.each(['F32', 'F16', 'BF16'] as const)(
    'finds them in %s, also beyond the first piece',
    (dtype) =>
      withTemporaryFolder(async (folder) => {
        const long = 9_000_000;
        const file = path.join(folder, `${randomUUID()}.safetensors`);
        const tensors = {
          a: float32Source(Float32Array.of(1, 65504, -3), [3], dtype),
          b: float32Source(holding(6, { 5: Number.NaN }), [2, 3], dtype),
          c: float32Source(new Float32Array(long).fill(Infinity, long - 2), [long], dtype),
        };
        await writeSafetensors(file, new Map(Object.entries(tensors)));
        const found = [];
        for await (const weight of nonFiniteWeights((await openSafetensors(file)).mappedAll()))
          found.push(weight);
        expect(found).toEqual([
          { name: 'b', index: 5, value: Number.NaN, count: 1, size: 6 },
          { name: 'c', index: long - 2, value: Infinity, count: 2, size: long },
        ]);
      }),
  );
});
