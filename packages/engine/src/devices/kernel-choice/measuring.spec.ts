import type { Clocks } from './clocks.js';
import { timeInTurns } from './in-turns.js';
import { measureKernels, type measureSize } from './measure.js';
import { type MeasuredKernel, together } from './rounds.js';
import type { KernelTrial } from './trials.js';

const THREADS = 2;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** A processor whose time passes only where a test says so, and that other processes may take part of. */
class PretendProcessor implements Clocks {
  readonly threads = THREADS;
  when = 0;
  used: number | undefined = 0;
  today = 1e12;

  now = (): number => this.when;
  processorTime = (): number | undefined => this.used;
  date = (): number => this.today;

  /** Work of so many ms on all threads. @param share of the processor that other processes leave. */
  work(ms: number, share = 1): void {
    this.when += ms / share;
    if (this.used !== undefined) this.used += ms * THREADS;
  }
}

/** Ways of 10 and 9 ms. @param shares what other processes leave to each run, in the order of the runs. */
function timedWith(processor: PretendProcessor, shares: readonly number[]) {
  let run = 0;
  const way = (ms: number) => ({
    run: async () => processor.work(ms, shares[run++ % shares.length]!),
  });
  return timeInTurns(
    new Map([
      ['plain', way(10)],
      ['blocked', way(9)],
    ]),
    processor,
    1e9,
  );
}

describe('turns', () => {
  it('give the fastest run of each way', async () => {
    const { ms, turns } = await timedWith(new PretendProcessor(), [1]);
    expect(ms).toEqual({ plain: 10, blocked: 9 });
    expect(turns).toBe(6);
  });

  it('that another process disturbed do not count', async () => {
    // The first two runs allocate. Both runs of the second turn are undisturbed; of the others always one.
    const shares = [1, 1, 1, 0.5, 0.9, 0.8, 1, 0.5, 0.5, 1, 0.5, 1, 0.93, 0.6];
    const { ms, turns } = await timedWith(new PretendProcessor(), shares);
    expect(turns).toBe(0);
    // The fastest runs are told all the same: no run is faster than the processor.
    expect(ms['plain']).toBeCloseTo(10);
    const better = [...shares.slice(0, 4), 0.99, 0.99, ...shares.slice(6)];
    expect((await timedWith(new PretendProcessor(), better)).turns).toBe(1);
  });

  it('all count where the system does not say what the process got', async () => {
    const processor = new PretendProcessor();
    processor.used = undefined;
    expect((await timedWith(processor, [0.5])).turns).toBe(6);
  });

  it('end with the time, after one', async () => {
    const processor = new PretendProcessor();
    const run = async () => processor.work(10);
    await timeInTurns(new Map([['plain', { run }]]), processor, 0);
    expect(processor.when).toBe(20);
  });
});

const trial = (kind: string, sizes: number): KernelTrial => ({
  kind,
  candidates: ['plain', 'blocked'],
  sizes: Array.from({ length: sizes }, (_, i) => ({ rows: 100 + i, channels: 16 })),
  write: () => {
    throw new Error('not written here');
  },
});

/** A machine on which the blocked way takes 95 % of the time, and that may be busy in one process and idle in the next. */
function machine(sizeMs = 10) {
  const processor = new PretendProcessor();
  const state = { isBusy: false, blocked: 9.5, runs: 0 };
  const measure: typeof measureSize = async ({ kind }, size) => {
    state.runs += 1;
    processor.work(sizeMs);
    // In a busy hour the blocked way happened to get less of the processor.
    const ms = state.isBusy ? { plain: 12, blocked: 13 } : { plain: 10, blocked: state.blocked };
    const turns = state.isBusy ? 0 : 4;
    const when = { since: processor.today, tookMs: sizeMs };
    return {
      kind,
      size,
      chosen: 'plain',
      ms,
      equal: ['plain', 'blocked'],
      turns,
      rounds: 1,
      ...when,
    };
  };
  /** One process after the other, each with 300 ms. */
  const process = (trials: readonly KernelTrial[], known: readonly MeasuredKernel[] = []) =>
    measureKernels(trials, 16, known, { clocks: processor, end: processor.when + 300, measure });
  const processes = async (count: number, known: readonly MeasuredKernel[] = []) => {
    let kernels = known;
    for (let i = 0; i < count; i += 1) kernels = await process([trial('product', 1)], kernels);
    return kernels[0]!;
  };
  return { processor, state, measure, process, processes };
}

describe('a choice', () => {
  it('stands after enough undisturbed turns, and costs nothing further', async () => {
    const { state, processes } = machine();
    const settled = await processes(20);
    expect(settled).toMatchObject({ chosen: 'blocked', turns: 12, rounds: 3 });
    expect(state.runs).toBe(3);
  });

  it('stands sooner where one way is clearly slower', async () => {
    const { state, processes } = machine();
    state.blocked = 5;
    expect(await processes(20)).toMatchObject({ chosen: 'blocked', turns: 8, rounds: 2 });
  });

  it('of a busy hour is corrected by the first undisturbed turns', async () => {
    const { state, processes } = machine();
    state.isBusy = true;
    const busy = await processes(3);
    expect(busy).toMatchObject({ chosen: 'plain', turns: 0 });
    state.isBusy = false;
    const mended = await processes(1, [busy]);
    expect(mended).toMatchObject({ chosen: 'blocked', ms: { plain: 10, blocked: 9.5 }, turns: 4 });
  });

  it('of a busy day is left alone for an hour, and then looked at again', async () => {
    const { processor, state, processes } = machine();
    state.isBusy = true;
    const busy = await processes(40);
    expect(state.runs).toBe(16);
    state.isBusy = false;
    processor.today += 0.9 * HOUR;
    expect(await processes(3, [busy])).toEqual(busy);
    processor.today += 0.2 * HOUR;
    expect(await processes(3, [busy])).toMatchObject({ chosen: 'blocked', turns: 12 });
  });

  it.each([
    ['a week', 8 * DAY],
    ['a clock that was set back', -14 * DAY],
  ])('is measured anew after %s', async (_case, later) => {
    const { processor, state, processes } = machine();
    const first = await processes(3);
    processor.today += 6 * DAY;
    expect(await processes(1, [first])).toEqual(first);
    processor.today += later;
    state.blocked = 14;
    // What it was chosen by before is forgotten; the choice holds until there is a new one.
    const once = await processes(1, [first]);
    expect(once).toMatchObject({ chosen: 'blocked', ms: { plain: 10, blocked: 14 }, turns: 4 });
    const twice = await processes(1, [once]);
    expect(twice).toMatchObject({ chosen: 'plain', turns: 8 });
    expect(twice.earlier).toBeUndefined();
  });

  it('stays through a busy hour in which it grew old', async () => {
    const { processor, state, processes } = machine();
    const first = await processes(3);
    processor.today += 8 * DAY;
    state.isBusy = true;
    expect(await processes(2, [first])).toMatchObject({ chosen: 'blocked', turns: 0, rounds: 2 });
  });

  it('that grew old is dropped where its way is not equal any more', () => {
    const size = { rows: 1, channels: 1 };
    const common = { kind: 'product', size, rounds: 1, since: 0, turns: 0, tookMs: 1 };
    const old = {
      ...common,
      ...{ ms: {}, equal: ['plain', 'blocked'], chosen: 'blocked', earlier: 'blocked' },
    };
    const now = { ...common, ms: { plain: 10 }, equal: ['plain'], chosen: 'plain' };
    expect(together(old, now, 'plain')).toMatchObject({ chosen: 'plain', ms: { plain: 10 } });
  });
});

describe('the time of a process', () => {
  const many = [trial('product', 3), trial('convolution', 30)];

  it('is not exceeded by what is expected to take longer than is left', async () => {
    const { processor, process, state } = machine(70);
    const first = await process(many);
    expect(state.runs).toBe(4);
    expect(processor.when).toBeLessThanOrEqual(300);
    // The next one goes on with what nobody has measured.
    const second = await process(many, first);
    expect(processor.when).toBeLessThanOrEqual(600);
    expect(second).toHaveLength(8);
    expect(new Set(second.map(({ rounds }) => rounds))).toEqual(new Set([1]));
  });

  it('lets smaller sizes pass what does not fit', async () => {
    const { processor, process } = machine(10);
    const first = await process([trial('product', 2)]);
    const known = first.map((kernel, i) => ({ ...kernel, tookMs: i === 0 ? 10 : 295 }));
    const [small, large] = await process([trial('product', 2)], known);
    expect([small!.rounds, large!.rounds]).toEqual([2, 1]);
    expect(processor.when).toBe(30);
  });

  it('is enough for one size on a machine of any speed', async () => {
    const { process } = machine(1000);
    const first = await process(many);
    expect(first).toHaveLength(1);
    expect(await process(many, first)).toHaveLength(2);
  });

  it('that is over before it begins is enough for one size too', async () => {
    const { processor, measure } = machine();
    const measuring = { clocks: processor, end: processor.when, measure };
    expect(await measureKernels(many, 16, [], measuring)).toHaveLength(1);
  });

  it('goes to the kinds in turns', async () => {
    const { process } = machine(100);
    const kinds = (await process(many)).map(({ kind }) => kind);
    expect(kinds).toEqual(['product', 'convolution', 'product']);
  });
});
