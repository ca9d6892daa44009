import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LabellerV1 } from '@spatialsv/core';
import { checkpointFolder, listCheckpoints } from './checkpoint/checkpoint.js';
import type { TrainConfig } from './config/schema.js';
import { readMetrics } from './run-folder/metrics-log.js';
import { openToyBackbone } from './testing/toy-backbone.js';
import { toySource, writeToyDataset } from './testing/toy-data.js';
import { toyConfig, writeToyInputs } from './testing/toy-run.js';
import { type TrainOptions, train } from './train.js';

let folder: string;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'run-inputs-'));
  await writeToyInputs(folder);
});
afterEach(() => rmSync(folder, { recursive: true }));

async function run(config: TrainConfig, options: Partial<TrainOptions> = {}) {
  const backbone = await openToyBackbone(config.model);
  return train(config, { backbone, source: toySource, ...options });
}

/** Does something to the first view of every sample. */
function toFirstViews(work: (file: string) => void): void {
  for (let index = 0; index < 6; index++) work(join(folder, `${index}-a.png`));
}

describe('a step', () => {
  it('says how long it waited for its samples', async () => {
    let labelled = 0;
    const source: LabellerV1 = {
      ...toySource,
      doLabel: async (request) => {
        labelled += 1;
        await new Promise((resolve) => setTimeout(resolve, 300));
        return toySource.doLabel(request);
      },
    };
    const config = toyConfig(folder, 'run', { schedule: { steps: 4 } });
    const counts: number[] = [];
    await run(config, { source, onStep: () => counts.push(labelled) });
    const waited = (await readMetrics(config.out)).map(({ waitedSeconds }) => waitedSeconds);
    expect(waited).toHaveLength(4);
    expect(waited[0]).toBeGreaterThan(0.25);
    // Six view sets are labelled once each, two a step; the fourth step finds its labels in memory.
    expect(counts[3]).toBe(counts[2]);
  });
});

describe('an input that breaks in the middle of a run', () => {
  it.each([
    ['an image that is no image any more', (file: string) => writeFileSync(file, 'no image')],
    ['an image that has gone', (file: string) => rmSync(file)],
  ] as const)(
    '%s is an error that names it, and the run goes on when it is back',
    async (_, spoil) => {
      const config = toyConfig(folder, 'run', { checkpointEvery: 1 });
      const onStep = ({ step }: { step: number }) => step === 1 && toFirstViews(spoil);
      const error = await run(config, { onStep }).catch((caught: unknown) => caught as Error);
      expect(error).toMatchObject({ message: expect.stringMatching(/\d-a\.png/) });
      const saved = (await listCheckpoints(config.out)).at(-1)!;
      expect(saved).toBeGreaterThan(0);
      expect((error as Error).message).toContain(checkpointFolder(config.out, saved));
      // The same images again.
      await writeToyDataset(folder, 6);
      expect(await run(config, { resume: true })).toMatchObject({ complete: true });
    },
  );

  it('a label that has gone is an error that says so, and the run goes on when it is back', async () => {
    const config = toyConfig(folder, 'run', { checkpointEvery: 1 });
    let isGone = false;
    const source: LabellerV1 = {
      ...toySource,
      doLabel: (request) =>
        isGone
          ? Promise.reject(new Error(`no labels of ${request.images.join(', ')}`))
          : toySource.doLabel(request),
    };
    // Gone from then on: the samples of the third step may be read while the second one runs, or after it.
    const onStep = () => {
      isGone = true;
    };
    const error = await run(config, { source, onStep }).catch((caught: unknown) => caught as Error);
    expect((error as Error).message).toMatch(/no labels of .*\d-a\.png.*step-\d/);
    isGone = false;
    expect(await run(config, { source, resume: true })).toMatchObject({ complete: true });
  });
});
