import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TrainConfigInput } from './config/schema.js';
import { readMetrics } from './run-folder/metrics-log.js';
import { openToyBackbone } from './testing/toy-backbone.js';
import { toySource } from './testing/toy-data.js';
import { toyConfig, writeToyInputs } from './testing/toy-run.js';
import { readToySamples } from './testing/toy-step.js';
import { train } from './train.js';

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mixing-'));
  await writeToyInputs(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

const set = (rest: Partial<TrainConfigInput['data'][number]>) => ({
  path: join(folder, 'data.jsonl'),
  ...rest,
});
const HALVES = { first: [0, 0.5] as [number, number], second: [0.5, 1] as [number, number] };

/** Trains one epoch of single samples. @returns the terms of each step. */
async function run(out: string, input: Partial<TrainConfigInput>) {
  const config = toyConfig(folder, out, { batchSize: 1, schedule: { epochs: 1 }, ...input });
  await train(config, { backbone: await openToyBackbone(config.model), source: toySource });
  const metrics = await readMetrics(config.out);
  const having = (term: 'text' | 'depth') =>
    metrics.filter(({ losses }) => losses[term] !== null).length;
  return { steps: metrics.length, text: having('text'), depth: having('depth') };
}

describe('halves of a data set', () => {
  it('share no sample and are the whole', async () => {
    const config = (part: [number, number], seed = 0) =>
      toyConfig(folder, 'none', { data: [set({ part })], seed });
    const ids = async (...given: Parameters<typeof config>) =>
      (await readToySamples(config(...given))).map(({ id }) => id);
    const [first, second] = [await ids(HALVES.first), await ids(HALVES.second)];
    expect(first).toHaveLength(3);
    expect([...first, ...second].sort()).toEqual(await ids([0, 1]));
    expect(await ids(HALVES.first, 1)).not.toEqual(first);
  });

  it.each([
    ['text on one', { arm: 'text', data: [{ part: HALVES.first }] }, [3, 3, 0]],
    ['text and labels on one', { data: [{ part: HALVES.first }] }, [3, 3, 3]],
    [
      'text and labels on one, labels on both',
      { data: [{ part: HALVES.first }, { part: HALVES.second, text: false }] },
      [6, 3, 6],
    ],
    ['text on both', { arm: 'text', data: [{}] }, [6, 6, 0]],
    [
      'text on both, labels on one',
      { data: [{ part: HALVES.first, labels: false }, { part: HALVES.second }] },
      [6, 6, 3],
    ],
  ] as const)('as in Table 5: %s', async (name, { data, ...rest }, [steps, text, depth]) => {
    const sets = data.map((part) => set(part as object));
    const input = { ...rest, data: sets } as Partial<TrainConfigInput>;
    expect(await run(name.replaceAll(' ', '-'), input)).toEqual({ steps, text, depth });
  });

  it('from which nothing can be learned are refused', async () => {
    const data = [set({ labels: false })];
    await expect(run('no-labels', { data })).rejects.toMatchObject({ code: 'DATA_INVALID' });
    const silent = [set({ text: false })];
    await expect(run('no-text', { arm: 'text', data: silent })).rejects.toMatchObject({
      code: 'DATA_INVALID',
    });
    expect(() =>
      toyConfig(folder, 'neither', { data: [set({ text: false, labels: false })] }),
    ).toThrow('nothing to learn');
  });
});
