import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSafetensors, readSpatialCheckpoint } from '@spatialsv/core';
import type { TrainConfigInput } from './config/schema.js';
import { readMetrics } from './run-folder/metrics-log.js';
import type { LossTerm } from './step/terms.js';
import { openToyBackbone } from './testing/toy-backbone.js';
import { toySource } from './testing/toy-data.js';
import { TOY_HEADS, toyConfig, writeToyInputs } from './testing/toy-run.js';
import { train } from './train.js';

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'arms-'));
  await writeToyInputs(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

const ALL: TrainConfigInput['heads'] = { ...TOY_HEADS, tasks: ['depth', 'ray', 'point'] };
let runs = 0;

/** Trains two steps. @returns terms that were learnt, and what was saved. */
async function run(input: Partial<TrainConfigInput>) {
  const schedule = { steps: 2, warmupRatio: 0 };
  const config = toyConfig(folder, `run-${++runs}`, { heads: ALL, schedule, ...input });
  const backbone = await openToyBackbone(config.model);
  const { checkpoint } = await train(config, { backbone, source: toySource });
  const [first] = await readMetrics(config.out);
  const terms = Object.entries(first!.losses) as [LossTerm, number | null][];
  const learnt = terms.filter(([term, value]) => term !== 'total' && value !== null);
  const state = await openSafetensors(join(checkpoint, 'trainer/state.safetensors'));
  const spatial = await readSpatialCheckpoint(checkpoint);
  return {
    losses: learnt.map(([term]) => term),
    trained: state.names.flatMap((name) => /^parameters\/(.*)$/.exec(name)?.[1] ?? []),
    spatial,
  };
}

const below = (names: readonly string[], prefix: string) =>
  names.filter((name) => name.startsWith(prefix));

describe('an arm', () => {
  it('text learns from text alone and makes no heads', async () => {
    const { losses, trained, spatial } = await run({ arm: 'text' });
    expect(losses).toEqual(['text']);
    expect(below(trained, 'spatial.')).toEqual([]);
    expect(spatial).toBeUndefined();
  });

  it('distill learns features and makes no heads', async () => {
    const { losses, trained, spatial } = await run({ arm: 'distill' });
    expect(losses).toEqual(['text', 'distillation']);
    expect(below(trained, 'spatial.').every((name) => name.startsWith('spatial.distill.'))).toBe(
      true,
    );
    expect(spatial).toMatchObject({ taps: [], featureChannels: 5, heads: { tasks: [] } });
  });

  it('spatialsv learns all', async () => {
    const { losses, spatial } = await run({});
    expect(losses).toEqual(['text', 'distillation', 'depth', 'ray', 'point']);
    expect(spatial).toMatchObject({ taps: [0, 1, 1, 2], featureChannels: 5 });
  });

  it.each([
    [['dep'], ['depth']],
    [['poi'], ['point']],
    [['ray'], ['ray']],
    [
      ['dep', 'poi', 'ray'],
      ['depth', 'ray', 'point'],
    ],
    [
      ['feat', 'dep'],
      ['distillation', 'depth'],
    ],
  ] as const)('with the signals %j learns %j', async (signals, terms) => {
    const { losses, trained, spatial } = await run({ signals: [...signals] });
    expect(losses).toEqual(['text', ...terms]);
    expect(spatial!.featureChannels).toBe((signals as readonly string[]).includes('feat') ? 5 : 0);
    for (const task of ['depth', 'ray', 'point'] as const)
      expect(below(trained, `spatial.${task}.`).length > 0).toBe(losses.includes(task));
  });
});

describe('an ablation', () => {
  it('takes one layer four times', async () => {
    expect((await run({ layers: 2, signals: ['dep'] })).spatial!.taps).toEqual([2, 2, 2, 2]);
    expect((await run({ layers: [1, 1, 1, 2], signals: ['dep'] })).spatial!.taps).toEqual([
      1, 1, 1, 2,
    ]);
  });

  it('has one projector or four', async () => {
    const projectors = async (input: Partial<TrainConfigInput>) =>
      new Set(
        below((await run({ signals: ['dep'], ...input })).trained, 'spatial.projectors.').map(
          (name) => name.split('.')[2],
        ),
      ).size;
    expect(await projectors({ projectors: 'shared' })).toBe(1);
    expect(await projectors({ projectors: 'four' })).toBe(4);
  });

  it('leaves a part frozen', async () => {
    const frozen = async (part: 'llm' | 'mm' | 'heads3d', prefix: string) => {
      const { trained } = await run({ signals: ['dep'], train: { [part]: 'frozen' } });
      expect(trained.length).toBeGreaterThan(0);
      expect(below(trained, prefix)).toEqual([]);
    };
    await frozen('llm', 'model.');
    await frozen('mm', 'visual.merger.');
    await frozen('heads3d', 'spatial.');
  });
});
