import path from 'node:path';
import { dryRun, hasPretendCuda } from '../testing/pretend-cuda/dry-run.cjs';

interface Counts {
  readonly launch: number;
  readonly product: number;
  readonly 'product bfloat16': number;
  readonly 'product float16': number;
  readonly HostToDevice: number;
  readonly DeviceToHost: number;
  readonly cudaMalloc: number;
}
type Precision = 'float32' | 'bfloat16' | 'float16';
type Seen = Readonly<Record<Precision, Counts>> & {
  readonly frozen: Readonly<Record<'stored' | 'cast' | 'half', Counts>>;
  readonly cases: Readonly<Record<'bfloat16' | 'float16', number>>;
};

(hasPretendCuda() ? describe : describe.skip)('programs in 16 bits on pretend GPUs', () => {
  let seen: Seen;
  beforeAll(() => {
    seen = dryRun(path.join(__dirname, '__fixtures__/precision-dry-run.cjs'));
  });

  it.each(['bfloat16', 'float16'] as const)(
    'take a training step in %s wholly on the GPU, of which the batch comes and the loss goes',
    (precision) => {
      const resident = { HostToDevice: 2, DeviceToHost: 1, cudaMalloc: 0 };
      expect(seen[precision]).toMatchObject({ product: seen.float32.product, ...resident });
      // The rest are sums that norms and their gradients write as products.
      expect(seen[precision][`product ${precision}`]).toBe(31);
      expect(seen.float32[`product ${precision}`]).toBe(0);
    },
  );

  it('launch a cast for each parameter and activation of a step, not for each product that reads one', () => {
    const casts = seen.bfloat16.launch - seen.float32.launch;
    expect(casts).toBeGreaterThan(0);
    expect(casts).toBeLessThan(2 * seen.bfloat16['product bfloat16'] + 1);
  });

  it('read a frozen weight of their type as it is stored', () => {
    const { stored, cast, half } = seen.frozen;
    expect(stored['product bfloat16']).toBe(1);
    expect(half['product float16']).toBe(1);
    expect(cast.launch - stored.launch).toBe(1);
    expect(half.launch).toBe(stored.launch);
  });

  it('have a kernel on the GPU for every operation with products, and for its gradients', () => {
    expect(seen.cases.bfloat16).toBeGreaterThan(20);
    expect(seen.cases.float16).toBe(seen.cases.bfloat16);
  });
});
