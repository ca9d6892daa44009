import { compile } from './compile.js';
import type { CompiledProgram, DeviceTensor } from './devices/index.js';
import { ProgramCache } from './program-cache.js';
import { float32 } from './specs.js';
import { type Tensor, tf } from './tfjs.js';

/** Programs that record their life. */
function recorder() {
  const made: string[] = [];
  const disposed: string[] = [];
  const make = (key: string) => async () => {
    made.push(key);
    return { dispose: async () => void disposed.push(key) } as CompiledProgram;
  };
  return { made, disposed, make };
}

const nothing = async () => undefined;

describe('ProgramCache', () => {
  it('keeps the most recently used programs', async () => {
    const { made, disposed, make } = recorder();
    const cache = new ProgramCache(2);
    const touch = (key: string) => cache.use(key, make(key), nothing);
    await Promise.all([touch('a'), touch('a')]);
    for (const key of ['b', 'a', 'c', 'b']) await touch(key);
    expect(made).toEqual(['a', 'b', 'c', 'b']);
    await cache.dispose();
    expect(disposed.slice(0, 2)).toEqual(['b', 'a']);
    expect(disposed.toSorted()).toEqual(['a', 'b', 'b', 'c']);
  });

  it('disposes no program that is in use, and what is over the capacity afterwards', async () => {
    const { made, disposed, make } = recorder();
    const cache = new ProgramCache(1);
    const keys = ['a', 'b', 'c', 'd'];
    const seen = await Promise.all(
      keys.map((key) =>
        cache.use(key, make(key), async () => {
          await cache.use('other', make('other'), nothing);
          await cache.use(key, make(key), nothing);
          return disposed.includes(key) || made.filter((each) => each === key).length > 1;
        }),
      ),
    );
    expect(seen).toEqual([false, false, false, false]);
    expect(cache.size).toBe(1);
  });

  it('lets the work of a failed program meet the failure, and forgets it', async () => {
    const cache = new ProgramCache(2);
    const fail = () => Promise.reject(new Error('no'));
    await expect(cache.use('a', fail, nothing)).rejects.toThrow('no');
    expect(await cache.useAhead('a', fail, async () => 'not awaited')).toBe('not awaited');
    expect(cache.size).toBe(0);
  });

  it('has a program compiled once, before it is used', async () => {
    const { made, disposed, make } = recorder();
    const cache = new ProgramCache(2);
    cache.prepare('a', make('a'));
    expect(made).toEqual(['a']);
    await cache.use('a', make('a'), nothing);
    expect(made).toEqual(['a']);
    cache.prepare('b', () => Promise.reject(new Error('no')));
    await expect(
      cache.use('b', () => Promise.reject(new Error('again')), nothing),
    ).rejects.toThrow();
    await cache.use('b', make('b'), nothing);
    await cache.dispose();
    expect(disposed).toEqual(['a', 'b']);
    cache.prepare('c', make('c'));
    expect(made).toEqual(['a', 'b']);
  });

  it('gives a program back when the work fails', async () => {
    const { disposed, make } = recorder();
    const cache = new ProgramCache(0);
    const work = () => Promise.reject(new Error('of the work'));
    await expect(cache.use('a', make('a'), work)).rejects.toThrow('of the work');
    await cache.dispose();
    expect(disposed).toEqual(['a']);
  });

  it('waits with its end for work under way, and lends nothing afterwards', async () => {
    const { disposed, make } = recorder();
    const cache = new ProgramCache(2);
    let open = () => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const use = cache.use('a', make('a'), async () => {
      await gate;
      return disposed.length;
    });
    const end = cache.dispose();
    await expect(cache.use('a', make('a'), nothing)).rejects.toMatchObject({ code: 'DISPOSED' });
    open();
    expect(await use).toBe(0);
    await end;
    expect(disposed).toEqual(['a']);
  });

  it('runs more shapes than it keeps, all at once', async () => {
    const cache = new ProgramCache(2);
    const sum = ({ x }: { x: Tensor }) => ({ y: tf.sum(x) });
    const sumOf = (size: number) =>
      cache.use(
        `${size}`,
        () => compile(sum, { x: float32(size) }),
        async (program) => {
          const x = new Float32Array(size).fill(1);
          await program.run({ x });
          // Meanwhile others have ended, and had to let this program be.
          const { y } = (await program.run({ x })) as { y: DeviceTensor };
          return (await y.read())[0];
        },
      );
    const sizes = [1, 2, 3, 4, 5, 6, 7, 3, 2, 1];
    expect(await Promise.all(sizes.map(sumOf))).toEqual(sizes);
    expect(cache.size).toBe(2);
    await cache.dispose();
  });
});
