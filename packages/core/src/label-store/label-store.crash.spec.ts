import { createProcessOwner } from '../process-owner.js';
import { createRandom } from '../random.js';
import { sampleStoredLabels } from '../testing/sample-labels.js';
import { withTemporaryFolder } from '../testing/temporary-folder.js';
import { type Script, sleep, startScript } from './__fixtures__/processes.js';
import { LabelStore } from './label-store.js';

const MANY = 1_000_000;

const seedsOf = ({ lines }: Script): number[] =>
  lines.filter((line) => /^\d+$/.test(line)).map(Number);

const keyOf = (seed: number): string => sampleStoredLabels(seed).key;

/** Ends a process that still runs: one that had ended by itself would prove nothing. */
const kill = async (script: Script): Promise<void> => {
  script.process.kill('SIGKILL');
  await script.ended;
  expect(script.process.signalCode).toBe('SIGKILL');
};

/** Everything reported is there, and everything there is sound, reported or not. */
const expectSound = async (folder: string, reported: readonly number[]): Promise<void> => {
  const store = await LabelStore.open(folder);
  try {
    expect(reported.filter((seed) => !store.has(keyOf(seed)))).toEqual([]);
    const keys = [...store.keys()];
    expect(keys).toHaveLength(store.count);
    expect(keys.map((key) => store.verify(key)).filter(Boolean)).toEqual([]);
  } finally {
    await store.close();
  }
};

describe('a writer that is killed', () => {
  it('loses nothing that it has reported, and leaves nothing half', async () => {
    const random = createRandom(Date.now());
    await withTemporaryFolder(async (folder) => {
      const reported: number[] = [];
      for (let round = 0; round < 5; round++) {
        const writer = startScript('writer.cjs', [folder, round * MANY, MANY]);
        // Before anything is reported, and then in the middle.
        await writer.printed(round === 0 ? 1 : 7);
        await sleep(random.uniform(0, round === 0 ? 20 : 200));
        await kill(writer);
        reported.push(...seedsOf(writer));
        await expectSound(folder, reported);
      }
      expect(reported.length).toBeGreaterThan(20);
    });
  });

  it('does not stop another one', async () => {
    await withTemporaryFolder(async (folder) => {
      const writers = [0, 1].map((i) => startScript('writer.cjs', [folder, i * MANY, MANY]));
      await Promise.all(writers.map((writer) => writer.printed(5)));
      const [killed, other] = writers as [Script, Script];
      await kill(killed);
      await other.printed(other.lines.length + 30);
      await kill(other);
      await expectSound(folder, writers.flatMap(seedsOf));
    });
  });

  it('loses its claims', async () => {
    await withTemporaryFolder(async (folder) => {
      const store = await LabelStore.open(folder);
      const claimer = startScript('claimer.cjs', [folder, keyOf(1)]);
      await claimer.printed(1);
      expect(claimer.lines).toEqual(['true']);
      expect(await store.claim(keyOf(1), createProcessOwner())).toBe(false);
      await kill(claimer);
      expect(await store.claim(keyOf(1), createProcessOwner())).toBe(true);
      await store.close();
    });
  });
});

describe('a disk that is full', () => {
  // A limit on the size of files does to one process what a full disk does to all.
  const withLimit = process.platform === 'win32' ? it.skip : it;

  withLimit('ends a write with an error that says so, and keeps what was reported', async () => {
    await withTemporaryFolder(async (folder) => {
      // One write at a time, as a label run has it: of several, one may still fit in after another one has failed.
      const writer = startScript('writer.cjs', [folder, 0, 1000, 1], 'ulimit -f 2000');
      await writer.ended;
      expect(JSON.parse(writer.lines.at(-1)!)).toEqual({
        code: 'DATA_INVALID',
        message: expect.stringContaining('disk is full'),
      });
      expect(seedsOf(writer).length).toBeGreaterThan(5);
      await expectSound(folder, seedsOf(writer));
    });
  });
});

describe('readers', () => {
  it('see labels of another process and of worker threads while they come', async () => {
    await withTemporaryFolder(async (folder) => {
      const writer = startScript('writer.cjs', [folder, 0, 120]);
      await writer.printed(2);
      const reader = await LabelStore.open(folder, { readOnly: true });
      const others = [0, 1].map(() => startScript('readers.cjs', [folder, 120]));
      while (reader.count < 120) {
        const keys = [...reader.keys()];
        expect(keys.map((key) => reader.verify(key)).filter(Boolean)).toEqual([]);
        await sleep(20);
      }
      await Promise.all([writer, ...others].map(({ ended }) => ended));
      expect(others.map(({ lines }) => lines)).toEqual([['120 120'], ['120 120']]);
      await reader.close();
    });
  });
});
