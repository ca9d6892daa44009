import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkpointFolder } from '../checkpoint/checkpoint.js';
import { openToyBackbone } from '../testing/toy-backbone.js';
import { toySource } from '../testing/toy-data.js';
import { toyConfig, writeToyInputs } from '../testing/toy-run.js';
import { openPreparation, type TrainOptions, train } from '../train.js';
import type { SamplePreparation } from './sample-preparation.js';
import {
  type PreparationRequest,
  type PreparationThreads,
  servePreparation,
  ThreadedPreparation,
} from './threaded-preparation.js';

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'threaded-'));
  await writeToyInputs(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Threads whose requests and replies go through the copies that threads make. */
function threadsOf(preparation: SamplePreparation, asked: PreparationRequest[]) {
  return {
    ...{ size: 2, isReady: true },
    ask: async (request) => {
      asked.push(request);
      const { reply, transfer } = await servePreparation(preparation, structuredClone(request));
      return structuredClone(reply, { transfer: [...new Set(transfer)] });
    },
  } satisfies PreparationThreads;
}

async function run(out: string, preparation?: TrainOptions['preparation']) {
  const config = toyConfig(folder, out, { signals: ['feat', 'dep'] });
  const backbone = await openToyBackbone(config.model);
  await train(config, { backbone, source: toySource, preparation });
  return readFileSync(join(checkpointFolder(config.out, 4), 'trainer/state.safetensors'));
}

describe('samples that threads prepare', () => {
  it('teach the same to the last bit, with and without their labels', async () => {
    const alone = await run('alone');
    const config = toyConfig(folder, 'threads', { signals: ['feat', 'dep'] });
    const backbone = await openToyBackbone(config.model);
    const preparation = await openPreparation(config, { backbone, source: toySource });
    for (const hasLabels of [true, false]) {
      const asked: PreparationRequest[] = [];
      const threads = threadsOf(preparation, asked);
      expect((await run(`labels-${hasLabels}`, { threads, hasLabels })).equals(alone)).toBe(true);
      const labels = asked.filter((request) => 'labels' in request);
      expect(asked.length - labels.length).toBe(6);
      expect(labels.length > 0).toBe(hasLabels);
    }
  });
});

describe('ThreadedPreparation', () => {
  const request = { files: [] };
  const local = { sequence: async () => 'local', labels: async () => 'local' } as unknown;
  const prepared = (threads: PreparationThreads) =>
    new ThreadedPreparation(threads, local as SamplePreparation, true).sequence(request);
  const failing = (isReady: boolean[]) => ({
    size: 1,
    get isReady() {
      return isReady.shift()!;
    },
    ask: async () => Promise.reject(new Error('broken')),
  });

  it('works on this thread while no other is ready, and when one has ended', async () => {
    expect(await prepared(failing([false]))).toBe('local');
    expect(await prepared(failing([true, false]))).toBe('local');
  });

  it('throws what a thread says of a sample', async () => {
    await expect(prepared(failing([true, true]))).rejects.toThrow('broken');
  });
});
