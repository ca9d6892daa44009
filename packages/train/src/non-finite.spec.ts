import type { SampleInputs } from './data/sample-inputs.js';
import { explainNonFiniteGradient, requireFiniteLosses } from './non-finite.js';
import { AdamwOptimizer } from './optimizer/adamw-optimizer.js';
import type { SampleRunner } from './step/sample-runner.js';

const ADAMW = { betas: [0.9, 0.999], epsilon: 1e-8, weightDecay: 0 } as const;
const LOSSES = { text: 1, distillation: null, depth: 2, ray: null, point: null, total: 3 };

describe('requireFiniteLosses', () => {
  it('passes absent terms and names the one that is not finite', () => {
    expect(() => requireFiniteLosses(LOSSES, 'q1', 4)).not.toThrow();
    const broken = { ...LOSSES, depth: Number.POSITIVE_INFINITY };
    expect(() => requireFiniteLosses(broken, 'q1', 4)).toThrow(/step 4: .*'depth'.*'q1'/);
  });
});

describe('explainNonFiniteGradient', () => {
  /** A step whose gradient by `head` is what a sample says. */
  async function explain(gradients: Readonly<Record<string, number>>) {
    const parameter = { shape: [2], data: new Float32Array(2), group: 'spatial' as const };
    const optimizer = await AdamwOptimizer.create(
      { body: parameter, head: parameter },
      ADAMW,
      'cpu',
    );
    const runner = {
      run: async ([inputs]: readonly [{ value: number }]) =>
        optimizer.accumulators['head']!.write(Float32Array.of(1, inputs.value)),
    };
    const batch = Object.entries(gradients).map(([id, value]) => ({
      id,
      inputs: { value } as unknown as SampleInputs,
    }));
    const step = runner as unknown as SampleRunner;
    const error = await explainNonFiniteGradient(batch, step, optimizer, 7);
    await optimizer.dispose();
    return error;
  }

  it('names the parameter and the first sample whose gradient is not finite', async () => {
    const error = await explain({ q1: 2, q2: Number.NaN, q3: Number.NaN });
    expect(error.code).toBe('NON_FINITE');
    expect(error.message).toMatch(/step 7: .*'head'.*'q2'/);
  });

  it('tells an overflow of the sum, where every sample alone is finite', async () => {
    expect((await explain({ q1: 3e38, q2: 3e38 })).message).toMatch(/overflows.*'q1, q2'/);
  });
});
