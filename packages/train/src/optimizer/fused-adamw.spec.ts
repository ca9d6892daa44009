import { type DeviceTensor, float32, UPDATE_BLOCK } from '@spatialsv/engine';
import { FusedAdamw } from './fused-adamw.js';

const SETTINGS = { betas: [0.9, 0.99], epsilon: 1e-8, weightDecay: 0.1 } as const;
const SCALARS = { gradientScale: 0.5, secondScale: 1.1, stepSize: 0.01, decay: 0.999 };
const SIZES = { a: UPDATE_BLOCK - 3, b: 40, c: UPDATE_BLOCK + 5, d: 7 };

/** Parameters and first moments after two updates. */
async function updated(largestArray?: number): Promise<Record<string, number[]>> {
  const specs = Object.fromEntries(Object.entries(SIZES).map(([name, n]) => [name, float32(n)]));
  const adamw = await FusedAdamw.create(specs, SETTINGS, 'cpu', largestArray);
  const fill = (tensor: DeviceTensor, phase: number) =>
    tensor.write(Float32Array.from({ length: tensor.shape[0]! }, (_, i) => Math.sin(i + phase)));
  for (const tensor of Object.values(adamw.tensors.parameters)) await fill(tensor, 0);
  for (let step = 1; step <= 2; step++) {
    for (const tensor of Object.values(adamw.tensors.accumulators)) await fill(tensor, step);
    await adamw.run(SCALARS);
  }
  const result: Record<string, number[]> = {};
  for (const kind of ['parameters', 'first'] as const)
    for (const [name, tensor] of Object.entries(adamw.tensors[kind]))
      result[`${kind} ${name}`] = Array.from(await tensor.read());
  await adamw.dispose();
  return result;
}

describe('AdamW in chunks', () => {
  it('gives the same where a group takes several arrays as where it takes one', async () => {
    const whole = await updated();
    const parts = await updated(UPDATE_BLOCK);
    // By name: a comparison of long arrays that fails takes minutes to print.
    const differs = (name: string) => parts[name]!.some((value, i) => value !== whole[name]![i]);
    expect(Object.keys(parts)).toEqual(Object.keys(whole));
    expect(Object.keys(whole).filter(differs)).toEqual([]);
    const moved = Object.keys(SIZES).filter((name) => whole[`first ${name}`]!.some((m) => m !== 0));
    expect(moved).toEqual(Object.keys(SIZES));
  });
});
