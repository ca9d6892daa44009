import { ByteCache } from './byte-cache.js';
import { epochLength, type MixedSet, SampleOrder } from './sample-order.js';
import { SamplesAhead } from './samples-ahead.js';

const all = (count: number, ratio = 1, seed = 0): MixedSet => ({ count, ratio, seed });

/** How often each sample is seen in each of some epochs. */
function counts(sets: readonly MixedSet[], epochs: number): number[][] {
  const order = new SampleOrder(sets, 5);
  const length = epochLength(sets);
  const samples = sets.reduce((sum, { count }) => sum + count, 0);
  return Array.from({ length: epochs }, (_, epoch) => {
    const seen = Array<number>(samples).fill(0);
    for (let index = 0; index < length; index++) seen[order.at(epoch * length + index)]! += 1;
    return seen;
  });
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, value) => total + value, 0);

describe('a mix of data sets', () => {
  it('sees each as often as its ratio says', () => {
    const [first, second] = counts([all(6), all(4, 0.5), all(2, 3)], 2);
    for (const epoch of [first!, second!]) {
      expect(epoch.slice(0, 6)).toEqual(Array(6).fill(1));
      expect(sum(epoch.slice(6, 10))).toBe(2);
      expect(epoch.slice(10)).toEqual([3, 3]);
    }
    expect(first!.slice(6, 10).map((seen, index) => seen + second![6 + index]!)).toEqual([
      1, 1, 1, 1,
    ]);
  });

  it('sees every sample of a set as often, whatever its ratio', () => {
    const epochs = counts([all(7, 1.3)], 7);
    const seen = epochs[0]!.map((_, sample) => sum(epochs.map((epoch) => epoch[sample]!)));
    expect(sum(seen)).toBe(63);
    expect(Math.max(...seen) - Math.min(...seen)).toBe(0);
  });

  it('draws other samples with another seed of the set', () => {
    expect(counts([all(20, 0.5, 1)], 1)).not.toEqual(counts([all(20, 0.5, 2)], 1));
  });
});

describe('SampleOrder', () => {
  it('sees every sample once an epoch, in another order each time', () => {
    const order = new SampleOrder([all(10)], 3);
    const epochs = [0, 1].map((epoch) =>
      Array.from({ length: 10 }, (_, index) => order.at(10 * epoch + index)),
    );
    for (const epoch of epochs)
      expect([...epoch].sort((a, b) => a - b)).toEqual([...Array(10).keys()]);
    expect(epochs[0]).not.toEqual(epochs[1]);
  });

  it('continues at a position as if it had never stopped', () => {
    const straight = new SampleOrder([all(7)], 1);
    const seen = Array.from({ length: 20 }, (_, position) => straight.at(position));
    const resumed = new SampleOrder([all(7)], 1);
    expect(seen.slice(9)).toEqual(Array.from({ length: 11 }, (_, index) => resumed.at(9 + index)));
    const other = new SampleOrder([all(7)], 2);
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

describe('SamplesAhead', () => {
  it('reads so many samples ahead, in order and one at a time', async () => {
    const begun: number[] = [];
    let underWay = 0;
    const samples = new SamplesAhead(async (position) => {
      expect(underWay++).toBe(0);
      begun.push(position);
      await new Promise((resolve) => setImmediate(resolve));
      underWay--;
      return 10 * position;
    }, 2);
    expect(await samples.take(5)).toBe(50);
    // Two more, though nobody has asked for them.
    const turn = () => new Promise((resolve) => setImmediate(resolve));
    while (begun.length < 3) await turn();
    for (let more = 0; more < 10; more++) await turn();
    expect(begun).toEqual([5, 6, 7]);
    await samples.close();

    const more = new SamplesAhead(async (position) => position, 2);
    const taken = [];
    for (const position of [0, 1, 2]) taken.push(await more.take(position));
    expect(taken).toEqual([0, 1, 2]);
    await more.close();
  });

  it('fails where the sample that fails is taken', async () => {
    const samples = new SamplesAhead(async (position) => {
      if (position === 1) throw new Error('broken');
      return position;
    }, 2);
    expect(await samples.take(0)).toBe(0);
    await expect(samples.take(1)).rejects.toThrow('broken');
    expect(await samples.take(2)).toBe(2);
    await samples.close();
  });
});
