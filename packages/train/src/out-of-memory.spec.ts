import { SpatialError } from '@spatialsv/core';
import type { RunConfig } from './config/run-config.js';
import { explainNoRoom } from './out-of-memory.js';

const settings = (llm: 'full' | 'lora', stateBits: 8 | 32, device = 'cpu') =>
  ({ train: { llm }, optimizer: { stateBits }, device }) as RunConfig;

describe('no memory for what is trained', () => {
  it.each([
    ['full', 32, 'cpu', 'train: { llm: lora }'],
    ['lora', 32, 'cpu', 'optimizer.stateBits: 8'],
    ['lora', 8, 'cpu', 'lora.rank'],
    // Moments of 8 bits need the CPU.
    ['lora', 32, 'cuda', 'lora.rank'],
  ] as const)(
    'names what makes it smaller: llm %s, %i bits, %s',
    (llm, stateBits, device, knob) => {
      // What an allocation of JavaScript says.
      const found = explainNoRoom(
        new RangeError('Array buffer allocation failed'),
        settings(llm, stateBits, device),
      ) as SpatialError;
      expect(found).toMatchObject({ code: 'OUT_OF_MEMORY' });
      expect(found.message).toContain('parameters, their gradients and moments');
      expect(found.hint).toContain(knob);
    },
  );

  it('leaves other failures as they are', () => {
    const error = new SpatialError({ code: 'FILE_MISSING', message: 'gone', hint: 'look' });
    expect(explainNoRoom(error, settings('full', 32))).toBe(error);
  });
});
