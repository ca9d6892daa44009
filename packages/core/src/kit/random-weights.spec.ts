import { randomTensors, unitGain } from './random-weights.js';

const shapes = { 'norm.weight': [4], 'layer.weight': [3, 4], 'layer.bias': [3] };

/** All bytes of the tensors, one after the other. */
const bytesOf = async (sources: ReturnType<typeof randomTensors>): Promise<Buffer> => {
  const pieces: Uint8Array[] = [];
  for (const source of sources.values())
    for await (const piece of source.bytes() as AsyncIterable<Uint8Array>) pieces.push(piece);
  return Buffer.concat(pieces);
};

it('are equal for equal seeds only', async () => {
  const [first, same, other] = await Promise.all(
    [1, 1, 2].map((seed) => bytesOf(randomTensors(shapes, seed, unitGain))),
  );
  expect(same!.equals(first!)).toBe(true);
  expect(other!.equals(first!)).toBe(false);
  expect(first).toHaveLength(4 * (4 + 12 + 3));
});

it('keep norms near 1, biases near 0 and weights at unit gain', () => {
  expect(unitGain('norm.weight', [4])).toEqual([0.9, 1.1]);
  expect(unitGain('layer.bias', [3])).toEqual([-0.05, 0.05]);
  expect(unitGain('layer.weight', [3, 12])).toEqual([-0.5, 0.5]);
  expect(unitGain('layer.weight', [3, 12], 0.1)[1]).toBeCloseTo(0.05);
});

it('give the values that they are told', async () => {
  const bytes = await bytesOf(randomTensors({ bias: [2] }, 1, () => Float32Array.of(1, 2)));
  expect([bytes.readFloatLE(0), bytes.readFloatLE(4)]).toEqual([1, 2]);
});
