import { ByteCache } from './byte-cache.js';
import { SampleOrder } from './sample-order.js';

describe('SampleOrder', () => {
  it('sees every sample once an epoch, in another order each time', () => {
    const order = new SampleOrder(10, 3);
    const epochs = [0, 1].map((epoch) =>
      Array.from({ length: 10 }, (_, index) => order.at(10 * epoch + index)),
    );
    for (const epoch of epochs)
      expect([...epoch].sort((a, b) => a - b)).toEqual([...Array(10).keys()]);
    expect(epochs[0]).not.toEqual(epochs[1]);
  });

  it('continues at a position as if it had never stopped', () => {
    const straight = new SampleOrder(7, 1);
    const seen = Array.from({ length: 20 }, (_, position) => straight.at(position));
    const resumed = new SampleOrder(7, 1);
    expect(seen.slice(9)).toEqual(Array.from({ length: 11 }, (_, index) => resumed.at(9 + index)));
    const other = new SampleOrder(7, 2);
    expect(seen).not.toEqual(Array.from({ length: 20 }, (_, position) => other.at(position)));
  });
});

describe('ByteCache', () => {
  it('drops the longest unused value and makes a value once', async () => {
    const cache = new ByteCache<string>(3, (value) => value.length);
    const made: string[] = [];
    const get = (key: string) =>
      cache.get(key, async () => {
        made.push(key);
        return key;
      });
    await Promise.all([get('a'), get('a'), get('b')]);
    await get('c');
    await get('a');
    await get('d');
    await get('a');
    await get('b');
    expect(made).toEqual(['a', 'b', 'c', 'd', 'b']);
    expect(cache.bytes).toBe(3);
  });

  it('does not keep a value larger than itself, nor a failure', async () => {
    const cache = new ByteCache<string>(2, (value) => value.length);
    expect(await cache.get('x', async () => 'long')).toBe('long');
    expect(cache.bytes).toBe(0);
    await expect(cache.get('y', async () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await cache.get('y', async () => 'ok')).toBe('ok');
  });
});
