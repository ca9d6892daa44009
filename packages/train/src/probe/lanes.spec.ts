import { inLanes } from './lanes.js';

const soon = () => new Promise((resolve) => setTimeout(resolve, 20));

describe('inLanes', () => {
  it('gives results in the order of the items, whichever lane is faster', async () => {
    const done: number[] = [];
    let letGo = (): void => undefined;
    const othersAreDone = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const results = await inLanes<number, number>([1, 2, 3, 4], 2, undefined, async (take) => {
      while (
        await take(async (item) => {
          if (item === 1) await othersAreDone;
          if (item === 4) letGo();
          done.push(item);
          return 2 * item;
        })
      );
    });
    expect(results).toEqual([2, 4, 6, 8]);
    expect(done).toEqual([2, 3, 4, 1]);
  });

  it('throws what the first lane threw, after the others have ended', async () => {
    let ended = 0;
    const failing = inLanes<number, void>([1, 2, 3], 2, undefined, async (take) => {
      try {
        while (
          await take(async (item, signal) => {
            if (item === 1) throw new Error('of the first');
            await soon();
            signal.throwIfAborted();
          })
        );
      } finally {
        ended += 1;
      }
    });
    await expect(failing).rejects.toThrow('of the first');
    expect(ended).toBe(2);
  });

  it('stops when it is told to', async () => {
    const abort = new AbortController();
    const taken: number[] = [];
    const stopped = inLanes<number, void>([1, 2, 3], 1, abort.signal, async (take) => {
      while (
        await take(async (item) => {
          taken.push(item);
          abort.abort(new Error('stopped'));
        })
      );
    });
    await expect(stopped).rejects.toThrow('stopped');
    expect(taken).toEqual([1]);
  });
});
