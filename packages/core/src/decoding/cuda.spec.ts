import path from 'node:path';
import { dryRun, hasPretendCuda } from '../../../engine/src/testing/pretend-cuda/dry-run.cjs';

interface Counts {
  readonly HostToDevice: number;
  readonly DeviceToHost: number;
  readonly cudaMalloc: number;
  readonly product: number;
  readonly 'product bfloat16': number;
  readonly 'product float16': number;
}
interface Generation {
  /** Bytes of the checkpoint, and those that its weights take on the GPU. */
  readonly storedBytes: number;
  readonly weightBytes: number;
  /** Bytes that stay when everything was disposed. */
  readonly leftBytes: number;
  readonly prompt: Counts;
  /** One list for each capacity of the cache. */
  readonly tokens: readonly (readonly (Counts & { readonly live: number })[])[];
  readonly grown: readonly Counts[];
}
type Precision = 'float32' | 'bfloat16' | 'float16';

(hasPretendCuda() ? describe : describe.skip)('generation on a pretend GPU', () => {
  let seen: Readonly<Record<Precision, Generation>>;
  beforeAll(() => {
    seen = dryRun(path.join(__dirname, '__fixtures__/cuda-generate.cjs'));
  });

  describe.each(['float32', 'bfloat16', 'float16'] as const)('in %s', (precision) => {
    it('holds one copy of the weights of a checkpoint, in the type in which they are stored', () => {
      const { storedBytes, weightBytes, leftBytes } = seen[precision];
      expect(weightBytes).toBeGreaterThanOrEqual(storedBytes);
      expect(weightBytes).toBeLessThan(1.05 * storedBytes);
      expect(leftBytes).toBe(0);
    });

    it('takes nothing more for token after token, of which the logits come back alone', () => {
      for (const tokens of seen[precision].tokens) {
        expect(tokens).toHaveLength(10);
        // What a token is: its id, position, slot, mask, and the row of its logits.
        const resident = { HostToDevice: 5, DeviceToHost: 1, cudaMalloc: 0, live: tokens[0]!.live };
        for (const token of tokens.slice(1)) expect(token).toMatchObject(resident);
      }
    });

    it('grows the cache without the host', () => {
      expect(seen[precision].grown).toHaveLength(2);
      for (const counts of seen[precision].grown)
        expect(counts).toMatchObject({ HostToDevice: 0, DeviceToHost: 0 });
    });
  });

  it.each(['bfloat16', 'float16'] as const)('multiplies by all weights in %s', (precision) => {
    const { prompt, tokens } = seen[precision];
    for (const counts of [prompt, ...tokens.flat()]) {
      expect(counts[`product ${precision}`]).toBe(counts.product);
      expect(counts.product).toBeGreaterThan(20);
    }
  });
});
