import type { DeviceTensor } from '@spatialsv/core';
import { Collected, TensorScope } from './da3-tensors.js';

const tensor = (...values: number[]) => ({
  shape: [values.length],
  dtype: 'float32' as const,
  read: async () => Float32Array.from(values),
  write: async () => undefined,
  dispose: jest.fn(),
});

describe('a scope of tensors', () => {
  it('frees what is left at its end, each tensor once', () => {
    const scope = new TensorScope();
    const { a, deeper } = scope.own({ a: tensor(1), deeper: { b: tensor(2), c: tensor(3) } });
    scope.free(deeper, tensor(4));
    scope.dispose();
    scope.dispose();
    for (const { dispose } of [a, deeper.b, deeper.c]) expect(dispose).toHaveBeenCalledTimes(1);
  });

  it('leaves alone what it does not own', () => {
    const other: DeviceTensor = tensor(1);
    new TensorScope().free({ other });
    expect(other.dispose).not.toHaveBeenCalled();
  });
});

it('values of views are collected by their number', async () => {
  const collected = new Collected(2);
  await collected.take(1, tensor(3, 4));
  collected.put(0, Float32Array.of(1, 2));
  expect([...collected.values()]).toEqual([1, 2, 3, 4]);
});
