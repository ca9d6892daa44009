import { padSequence } from './sequence-layout.js';

describe('padSequence', () => {
  const inputs = {
    inputIds: Int32Array.of(5, 9, 9, 6),
    positions: Int32Array.of(0, 1, 1, 3, 0, 1, 2, 3, 0, 1, 2, 3),
    positionRows: 3 as const,
    nextPosition: 4,
    spliceIndex: Int32Array.of(0, 4, 5, 3),
  };

  it('puts padding behind the sequence and visual rows behind the padded text', () => {
    const padded = padSequence(inputs, 6);
    expect(padded.tokens).toBe(4);
    expect([...padded.inputIds]).toEqual([5, 9, 9, 6, 0, 0]);
    expect([...padded.spliceIndex]).toEqual([0, 6, 7, 3, 4, 5]);
    const rows = [0, 1, 2].map((row) => [...padded.positions.slice(row * 6, row * 6 + 6)]);
    expect(rows).toEqual([
      [0, 1, 1, 3, 4, 5],
      [0, 1, 2, 3, 4, 5],
      [0, 1, 2, 3, 4, 5],
    ]);
  });

  it('pads to a whole number of buckets', () => {
    expect(padSequence(inputs).length).toBe(32);
  });
});
