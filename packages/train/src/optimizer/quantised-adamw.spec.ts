import { join } from 'node:path';
import { filled, type Golden, readGolden } from '@spatialsv/core/testing';
import { AdamwOptimizer, type OptimizerSettings } from './adamw-optimizer.js';
import { FusedAdamw } from './fused-adamw.js';
import { QuantisedAdamw } from './quantised-adamw.js';
import { decodeMoments, encodeMoments } from './quantised-moments.js';

const FOLDER = join(__dirname, '../__golden__/quantised-adamw');

interface Info {
  readonly steps: number;
  readonly sizes: Readonly<Record<string, readonly number[]>>;
  readonly halvings: Readonly<Record<string, number>>;
  readonly settings: {
    readonly lr: number;
    readonly betas: readonly [number, number];
    readonly eps: number;
    readonly weight_decay: number;
    readonly scale: number;
  };
  readonly distanceTo32Bits: Readonly<Record<string, number>>;
  readonly tolerance: { readonly values: number };
}

let golden: Golden<Info>;
let info: Info;
beforeAll(async () => {
  golden = await readGolden(FOLDER);
  info = golden.info;
});

const settings = (stateBits: 8 | 32): OptimizerSettings => {
  const { betas, eps, weight_decay } = info.settings;
  return { betas, epsilon: eps, weightDecay: weight_decay, stateBits };
};

const open = (stateBits: 8 | 32) =>
  AdamwOptimizer.create(
    Object.fromEntries(
      Object.entries(info.sizes).map(([name, shape]) => [
        name,
        { shape, group: 'spatial' as const, data: filled(`start.${name}`, [...shape]) },
      ]),
    ),
    settings(stateBits),
    'cpu',
  );

function gradient(name: string, step: number): Float32Array {
  const shape = [...info.sizes[name]!];
  const [sizes, mean] = [filled(`size.${name}`, shape), filled(`mean.${name}`, shape)];
  const halvings = info.halvings[name]!;
  return filled(`noise.${step}.${name}`, shape).map(
    (noise, i) =>
      Math.fround(mean[i]! + noise) * 2 ** -Math.floor(halvings * 2 * Math.abs(sizes[i]!)),
  );
}

async function takeSteps(optimizer: AdamwOptimizer, from: number, to: number) {
  const { lr, scale } = info.settings;
  for (let t = from; t <= to; t++) {
    for (const name of Object.keys(info.sizes))
      await optimizer.accumulators[name]!.write(gradient(name, t - 1));
    await optimizer.step(t, { 'language-model': 0, projector: 0, spatial: lr }, scale);
  }
}

const worst = (found: ArrayLike<number>, expected: ArrayLike<number>) =>
  Array.from(expected).reduce((most, x, i) => Math.max(most, Math.abs(x - found[i]!)), 0);

const norm = (values: readonly number[]) => Math.sqrt(values.reduce((sum, x) => sum + x * x, 0));

const parametersOf = async (optimizer: AdamwOptimizer, name: string) =>
  Array.from(await optimizer.parameters[name]!.read());

describe('AdamW with moments of 8 bits', () => {
  it('takes the steps of the formula in PyTorch', async () => {
    const optimizer = await open(8);
    await takeSteps(optimizer, 1, 1);
    for (const name of Object.keys(info.sizes))
      expect(
        worst(await parametersOf(optimizer, name), golden.float32(`after.1.${name}`)),
      ).toBeLessThan(info.tolerance.values);
    await takeSteps(optimizer, 2, info.steps);
    for (const name of Object.keys(info.sizes)) {
      const after = golden.float32(`after.${info.steps}.${name}`);
      expect(worst(await parametersOf(optimizer, name), after)).toBeLessThan(info.tolerance.values);
      for (const kind of ['first', 'second'] as const)
        expect(
          worst(await optimizer[kind][name]!.read(), golden.float32(`${kind}.${name}`)),
        ).toBeLessThan(info.tolerance.values);
    }
    await optimizer.dispose();
  });

  it('stays near 32 bits, as near as that formula', async () => {
    const [small, large] = [await open(8), await open(32)];
    for (const optimizer of [small, large]) await takeSteps(optimizer, 1, info.steps);
    for (const [name, shape] of Object.entries(info.sizes)) {
      const start = filled(`start.${name}`, [...shape]);
      const [found, exact] = [await parametersOf(small, name), await parametersOf(large, name)];
      const moved = norm(exact.map((x, i) => x - start[i]!));
      const distance = norm(exact.map((x, i) => x - found[i]!)) / moved;
      expect(distance).toBeCloseTo(info.distanceTo32Bits[name]!, 3);
    }
    expect(info.distanceTo32Bits['a']!).toBeLessThan(0.03);
    for (const optimizer of [small, large]) await optimizer.dispose();
  });

  it('goes on bit for bit from moments that were saved as float32', async () => {
    const [straight, stopped, resumed] = [await open(8), await open(8), await open(8)];
    await takeSteps(straight, 1, 5);
    await takeSteps(stopped, 1, 3);
    for (const name of Object.keys(info.sizes))
      for (const kind of ['parameters', 'first', 'second'] as const)
        await resumed[kind][name]!.write(Float32Array.from(await stopped[kind][name]!.read()));
    await takeSteps(resumed, 4, 5);
    for (const name of Object.keys(info.sizes))
      for (const kind of ['parameters', 'first', 'second'] as const)
        expect(worst(await resumed[kind][name]!.read(), await straight[kind][name]!.read())).toBe(
          0,
        );
    for (const optimizer of [straight, stopped, resumed]) await optimizer.dispose();
  });

  it('goes on bit for bit when moments have decayed to next to nothing', async () => {
    const run = async (from: AdamwOptimizer, steps: number) => {
      for (let t = 2; t <= 1 + steps; t++)
        await from.step(t, { 'language-model': 0, projector: 0, spatial: 1e-3 }, 1);
    };
    const [straight, resumed] = [await open(8), await open(8)];
    await takeSteps(straight, 1, 1);
    // 0.9 to the power of 650 is 2e-30.
    await run(straight, 650);
    for (const name of Object.keys(info.sizes)) {
      const first = Array.from(await straight.first[name]!.read());
      expect(first.every((x) => x === 0 || Math.abs(x) > 1e-38)).toBe(true);
      for (const kind of ['parameters', 'first', 'second'] as const)
        await resumed[kind][name]!.write(Float32Array.from(await straight[kind][name]!.read()));
    }
    for (const optimizer of [straight, resumed]) await run(optimizer, 2);
    for (const name of Object.keys(info.sizes))
      for (const kind of ['parameters', 'first', 'second'] as const)
        expect(worst(await resumed[kind][name]!.read(), await straight[kind][name]!.read())).toBe(
          0,
        );
    for (const optimizer of [straight, resumed]) await optimizer.dispose();
  });

  it('leaves small tensors and other devices to 32 bits', async () => {
    const small = { shape: [30], group: 'spatial' as const, data: new Float32Array(30) };
    const quantised = jest.spyOn(QuantisedAdamw, 'create');
    const chunked = jest.spyOn(FusedAdamw, 'create');
    await (await AdamwOptimizer.create({ small }, settings(8), 'cpu')).dispose();
    expect([quantised.mock.calls.length, chunked.mock.calls.length]).toEqual([0, 1]);
    jest.restoreAllMocks();
    const large = { ...small, shape: [64, 64], data: new Float32Array(4096) };
    await expect(AdamwOptimizer.create({ large }, settings(8), 'webgpu')).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('stateBits'),
    });
  });
});

describe('codes of moments', () => {
  it('keep zeros, signs and what is largest, and never round a second moment to 0', () => {
    const stored = { codes: new Uint8Array(256), scales: new Float32Array(1) };
    const values = new Float32Array(256);
    values.set([0.3, -0.3, 0, 1e-30, -0.1]);
    encodeMoments(values, stored, true);
    const signed = decodeMoments(stored, true);
    expect([...signed.slice(0, 4)]).toEqual([Math.fround(0.3), Math.fround(-0.3), 0, 0]);
    expect(signed[4]! / -0.1).toBeCloseTo(1, 1);
    encodeMoments(values.map(Math.abs), stored, false);
    const unsigned = decodeMoments(stored, false);
    expect([unsigned[2], unsigned[3]! > 0]).toEqual([0, true]);
    const again = { codes: new Uint8Array(256), scales: new Float32Array(1) };
    encodeMoments(unsigned, again, false);
    expect(again).toEqual(stored);
  });
});
