import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LabellerV1, SpatialError, writePng } from '@spatialsv/core';
import { kernelRecord, liveHandles, pinKernels } from '@spatialsv/engine';
import { checkpointFolder, listCheckpoints } from './checkpoint/checkpoint.js';
import type { TrainConfig, TrainConfigInput } from './config/schema.js';
import { AdamwOptimizer } from './optimizer/adamw-optimizer.js';
import { FusedAdamw } from './optimizer/fused-adamw.js';
import { WeightAverage } from './optimizer/weight-average.js';
import { readManifest } from './run-folder/manifest.js';
import { METRICS_FILE, readMetrics } from './run-folder/metrics-log.js';
import { openToyBackbone, writeToyCheckpoint } from './testing/toy-backbone.js';
import { toyLabels, toySource } from './testing/toy-data.js';
import { toyConfig, writeToyInputs } from './testing/toy-run.js';
import { type TrainOptions, train } from './train.js';

let folder: string;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'run-safety-'));
  await writeToyInputs(folder);
});
afterEach(() => {
  jest.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

/** Without heads, whose programs take longest to compile: what is told here is the same with them. */
const headless = (input: Partial<TrainConfigInput> = {}): TrainConfig =>
  toyConfig(folder, 'run', { arm: 'distill', ...input });

async function run(config: TrainConfig, options: Partial<TrainOptions> = {}) {
  const backbone = await openToyBackbone(config.model);
  return train(config, { backbone, source: toySource, ...options });
}

/** How a run failed. */
async function failure(config: TrainConfig, options: Partial<TrainOptions> = {}) {
  const error = await run(config, options).then(
    () => undefined,
    (caught: unknown) => caught as Error & { readonly code: string; readonly hint: string },
  );
  expect(error).toBeDefined();
  return error!;
}

/** Labels that are not finite from the n-th question for them on. */
function brokenAfter(count: number): LabellerV1 {
  let asked = 0;
  return {
    ...toySource,
    doLabel: async ({ images }) => {
      const labels = toyLabels(images.length);
      if (asked++ >= count) labels.features!.data.fill(Number.NaN);
      return labels;
    },
  };
}

const replaceImage = (image: string) =>
  writePng(image, new Uint8Array(3 * 8 * 8).fill(9), { height: 8, width: 8, channels: 3 });

const stateOf = (config: TrainConfig, step: number) =>
  readFileSync(join(checkpointFolder(config.out, step), 'trainer/state.safetensors'));

describe('an update that fails half-way', () => {
  it('is not saved, and the message says so', async () => {
    const config = toyConfig(folder, 'run');
    const update = FusedAdamw.prototype.run;
    let calls = 0;
    jest.spyOn(FusedAdamw.prototype, 'run').mockImplementation(function (this: FusedAdamw, x) {
      calls += 1;
      // Three groups: the second step has changed one of them.
      return calls === 5 ? Promise.reject(new Error('out of memory')) : update.call(this, x);
    });
    const error = await failure(config);
    expect(error.message).toMatch(/out of memory.*step 2 changed a part.*no checkpoint/);
    expect(await listCheckpoints(config.out)).toEqual([]);
  });

  it('is not saved either where the averages behind it fail', async () => {
    const update = jest.spyOn(WeightAverage.prototype, 'update');
    // The first one makes the averages.
    update.mockResolvedValueOnce().mockRejectedValue(new Error('no more memory'));
    const config = headless({ ema: { decay: 0.9 } });
    const error = await failure(config);
    expect(error.message).toMatch(/no more memory.*step 1 changed a part.*no checkpoint/);
    expect(await listCheckpoints(config.out)).toEqual([]);
  });

  it('leaves the checkpoint before it', async () => {
    const config = toyConfig(folder, 'run', { checkpointEvery: 1 });
    const update = FusedAdamw.prototype.run;
    let calls = 0;
    jest.spyOn(FusedAdamw.prototype, 'run').mockImplementation(function (this: FusedAdamw, x) {
      calls += 1;
      return calls === 8 ? Promise.reject(new Error('out of memory')) : update.call(this, x);
    });
    const error = await failure(config);
    expect(error.message).toContain(`the last checkpoint is ${checkpointFolder(config.out, 2)}`);
    expect(await listCheckpoints(config.out)).toEqual([1, 2]);
    jest.restoreAllMocks();
    expect((await run(config, { resume: true })).complete).toBe(true);
  });
});

describe('a run whose averages do not fit', () => {
  it('gives its optimiser back', async () => {
    jest.spyOn(WeightAverage, 'create').mockRejectedValue(new Error('no more memory'));
    await failure(headless({ ema: { decay: 0.9 } }));
    const before = liveHandles();
    await failure(headless({ ema: { decay: 0.9 } }));
    expect(liveHandles()).toBe(before);
  });
});

describe('a run that diverges', () => {
  /** Writes an infinity into a tensor of the optimiser after a step. */
  function diverge(kind: 'parameters' | 'second', at: number) {
    const step = AdamwOptimizer.prototype.step;
    jest.spyOn(AdamwOptimizer.prototype, 'step').mockImplementation(async function (
      this: AdamwOptimizer,
      t,
      ...rest
    ) {
      await step.call(this, t, ...rest);
      if (t !== at) return;
      const tensor = this[kind]['visual.merger.weight']!;
      const values = Float32Array.from((await tensor.read()) as Float32Array);
      values[3] = Number.POSITIVE_INFINITY;
      await tensor.write(values);
    });
  }

  it.each(['parameters', 'second'] as const)(
    'keeps the last good checkpoint and names what is not finite in its %s',
    async (kind) => {
      const config = headless({ checkpointEvery: 1, keepCheckpoints: 1 });
      diverge(kind, 2);
      const error = await failure(config);
      expect(error.code).toBe('NON_FINITE');
      expect(error.message).toMatch(`step 2: ${kind}/visual.merger.weight`);
      expect(error.message).toContain(`the last checkpoint is ${checkpointFolder(config.out, 1)}`);
      expect(error.hint).toContain('--accept-changes settings');
      expect(await listCheckpoints(config.out)).toEqual([1]);
      expect(readdirSync(join(config.out, 'checkpoints'))).toEqual(['step-1']);
    },
  );

  it('saves nothing when the next step finds it', async () => {
    const config = headless();
    diverge('parameters', 2);
    const error = await failure(config);
    expect(error.code).toBe('NON_FINITE');
    expect(error.message).toMatch(/step 3: .*sample.*step 2: parameters\/visual.merger.weight/);
    expect(await listCheckpoints(config.out)).toEqual([]);
  });

  it('deletes no older checkpoint for the state that it ends with', async () => {
    const config = headless({
      checkpointEvery: 2,
      keepCheckpoints: 1,
      batchSize: 1,
      schedule: { steps: 6, warmupRatio: 0 },
    });
    // The first question is for the width of the features, then one for each image set: step 4 fails.
    const error = await failure(config, { source: brokenAfter(4) });
    expect(error.message).toContain(`is saved: ${checkpointFolder(config.out, 3)}`);
    expect(await listCheckpoints(config.out)).toEqual([2, 3]);
  });

  it('goes on with other settings when they are accepted', async () => {
    const config = headless({ checkpointEvery: 1 });
    await failure(config, { source: brokenAfter(5) });
    const lower = headless({
      checkpointEvery: 1,
      optimizer: { learningRates: { languageModel: 1e-3, projector: 1e-3, spatial: 1e-3 } },
    });
    const refused = await failure(lower, { resume: true });
    expect(refused).toMatchObject({ code: 'CONFIG_INVALID' });
    expect(refused.message).toMatch(/settings \('optimizer' was .*0\.01.* is .*0\.001/);
    const resumed = await run(lower, { resume: true, acceptChanges: ['settings'] });
    expect(resumed.complete).toBe(true);
  });
});

describe('a save that fails', () => {
  const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });

  it('does not hide why the run had ended', async () => {
    const config = headless();
    const backbone = { ...(await openToyBackbone(config.model)), save: () => Promise.reject(full) };
    const error = await failure(config, { backbone, source: brokenAfter(3) });
    expect(error.code).toBe('NON_FINITE');
    expect(error.message).toMatch(/'distillation'.*no space left.*no checkpoint/);
    expect((error.cause as Error).cause).toBeInstanceOf(AggregateError);
  });

  it('leaves the checkpoint before it and nothing half, and is not tried twice', async () => {
    const config = headless({ checkpointEvery: 1 });
    const toy = await openToyBackbone(config.model);
    let saves = 0;
    const save: typeof toy.save = (...args) =>
      ++saves > 2 ? Promise.reject(full) : toy.save(...args);
    const error = await failure(config, { backbone: { ...toy, save } });
    expect(error).toMatchObject({ code: 'ENOSPC' });
    expect(error.message).toContain(`the last checkpoint is ${checkpointFolder(config.out, 2)}`);
    expect(saves).toBe(3);
    expect(readdirSync(join(config.out, 'checkpoints')).sort()).toEqual(['step-1', 'step-2']);
    expect((await run(config, { resume: true })).complete).toBe(true);
  });
});

describe('resuming', () => {
  const onStep = (abort: AbortController) => () => abort.abort();

  /** A run that was stopped after its first step. */
  async function stopped() {
    const config = headless({ schedule: { steps: 2, warmupRatio: 0 } });
    const abort = new AbortController();
    const versions = { spatialsv: '1' };
    await run(config, { versions, signal: abort.signal, onStep: onStep(abort) });
    expect(await listCheckpoints(config.out)).toEqual([1]);
    return { config, options: { versions, resume: true } };
  }

  it('of a run that has not changed asks for nothing', async () => {
    const { config, options } = await stopped();
    expect((await run(config, options)).complete).toBe(true);
    expect(await readManifest(config.out)).toMatchObject({ acceptedChanges: [] });
  });

  it.each<['weights' | 'configuration' | 'data' | 'labels' | 'versions', RegExp]>([
    ['weights', /weights \('sha256' was "[0-9a-f]{64}", is "[0-9a-f]{64}"\)/],
    ['configuration', /weights \('configuration' was "[0-9a-f]{64}", is "[0-9a-f]{64}"\)/],
    ['data', /data \('1: .*data\.jsonl' was .*"samples":6.*, is .*"samples":7/],
    ['labels', /labels \('source' was .*"settings":\{\}.*, is .*"settings":\{"scale":2\}/],
    ['versions', /versions \('spatialsv' was "1", is "2"\)/],
  ])('with other %s is refused until it is accepted, and noted', async (name, message) => {
    const kind = name === 'configuration' ? 'weights' : name;
    const { config, options } = await stopped();
    let changed: Partial<TrainOptions> = options;
    if (name === 'weights') await writeToyCheckpoint(config.model, 2);
    if (name === 'configuration') writeFileSync(join(config.model, 'config.json'), '{"theta":2}');
    if (kind === 'data') {
      const file = config.data[0]!.path;
      const [line] = readFileSync(file, 'utf8').split('\n');
      appendFileSync(file, `${line}\n`);
    }
    if (kind === 'labels') {
      const provenance = { ...toySource.provenance, settings: { scale: 2 } };
      changed = { ...options, source: { ...toySource, provenance } };
    }
    if (kind === 'versions') changed = { ...options, versions: { spatialsv: '2' } };
    const before = stateOf(config, 1);
    const error = await failure(config, changed);
    expect(error.code).toBe('CONFIG_INVALID');
    expect(error.message).toMatch(message);
    expect(error.hint).toContain(`--accept-changes ${kind}`);
    expect(stateOf(config, 1).equals(before)).toBe(true);
    const result = await run(config, { ...changed, acceptChanges: [kind] });
    expect(result.complete).toBe(true);
    expect(await readManifest(config.out)).toMatchObject({ acceptedChanges: [{ kind }] });
    // What was accepted is what the run is made from now.
    expect((await run(config, changed)).complete).toBe(true);
  });

  it('in another precision is refused until it is accepted', async () => {
    const { config, options } = await stopped();
    const rounded = { ...config, precision: 'bfloat16' as const };
    const error = await failure(rounded, options);
    expect(error.message).toContain(`settings ('precision' was "float32", is "bfloat16")`);
    const accepted = { ...options, acceptChanges: ['settings' as const] };
    expect((await run(rounded, accepted)).complete).toBe(true);
  });

  it('with an image that was replaced is refused until it is accepted', async () => {
    const { config, options } = await stopped();
    await replaceImage(join(folder, '0-a.png'));
    const error = await failure(config, options);
    expect(error.code).toBe('CONFIG_INVALID');
    expect(error.message).toMatch(/data \('.*0-a\.png' was "[0-9a-f]{64}", is "[0-9a-f]{64}"\)/);
    expect(error.hint).toContain('--accept-changes data');
    expect((await run(config, { ...options, acceptChanges: ['data'] })).complete).toBe(true);
    expect(await readManifest(config.out)).toMatchObject({ acceptedChanges: [{ kind: 'data' }] });
  });

  it('with other stored labels is refused until it is accepted', async () => {
    const source = (content: string): LabellerV1 => ({
      ...toySource,
      contentOf: ({ images }) =>
        content === 'absent' && images[0]!.endsWith('0-a.png')
          ? Promise.reject(new SpatialError({ code: 'DATA_INVALID', message: '', hint: '' }))
          : Promise.resolve(content),
    });
    const config = headless({ schedule: { steps: 2, warmupRatio: 0 } });
    const abort = new AbortController();
    await run(config, { source: source('a'), signal: abort.signal, onStep: onStep(abort) });
    const error = await failure(config, { source: source('b'), resume: true });
    expect(error.message).toMatch(/labels \('.*0-a\.png.* was "a", is "b"\)/);
    expect(error.hint).toContain('--accept-changes labels');
    const vanished = await failure(config, { source: source('absent'), resume: true });
    expect(vanished.message).toMatch(/0-a\.png.* was "a", is "absent"/);
    const accepted = { source: source('b'), resume: true, acceptChanges: ['labels' as const] };
    expect((await run(config, accepted)).complete).toBe(true);
  });

  it('writes its programs as they were written at the beginning', async () => {
    const { config, options } = await stopped();
    const file = join(config.out, 'manifest.json');
    const manifest = JSON.parse(readFileSync(file, 'utf8'));
    const { kernels } = manifest.machine;
    const other = { kind: 'product', size: { rows: 7, channels: 7 }, chosen: 'plain' };
    manifest.machine.kernels = { ...kernels, kernels: [other] };
    writeFileSync(file, JSON.stringify(manifest));
    expect((await run(config, options)).complete).toBe(true);
    expect(await kernelRecord()).toMatchObject({ kernels: [other] });
    expect((await readManifest(config.out))!.machine!.kernels.kernels).toEqual([other]);
    expect(await pinKernels(kernels)).toBe(true);
  });

  it.each<[string, object, RegExp]>([
    ['number of threads', { threads: 99 }, /machine \('threads' was 99, is \d+\)/],
    ['kernels', { kernels: { block: 3, kernels: [], override: 'x' } }, /machine \('kernels' was/],
  ])(
    'on a machine with another %s is refused until it is accepted',
    async (_what, part, message) => {
      const { config, options } = await stopped();
      const file = join(config.out, 'manifest.json');
      const manifest = JSON.parse(readFileSync(file, 'utf8'));
      writeFileSync(
        file,
        JSON.stringify({ ...manifest, machine: { ...manifest.machine, ...part } }),
      );
      const error = await failure(config, options);
      expect(error.message).toMatch(message);
      expect(error.hint).toContain('--accept-changes machine');
      expect((await run(config, { ...options, acceptChanges: ['machine'] })).complete).toBe(true);
    },
  );

  it('names every change at once', async () => {
    const { config } = await stopped();
    await writeToyCheckpoint(config.model, 2);
    const error = await failure({ ...config, seed: 3 }, { resume: true, versions: {} });
    expect(error.message).toMatch(/'seed' was 0, is 3.*weights.*'spatialsv' was "1", is absent/);
    expect(error.hint).toContain('--accept-changes settings,weights,versions');
  });

  it('without a manifest, or with a damaged one, is refused', async () => {
    const { config, options } = await stopped();
    const file = join(config.out, 'manifest.json');
    writeFileSync(file, '{"version":1');
    expect(await failure(config, options)).toMatchObject({ code: 'FILE_INVALID' });
    rmSync(file);
    expect(await failure(config, options)).toMatchObject({ code: 'FILE_MISSING' });
  });

  it('drops metrics from a damaged line on', async () => {
    const { config, options } = await stopped();
    appendFileSync(join(config.out, METRICS_FILE), '\0\0\n{"step":2}\n');
    await run(config, options);
    expect((await readMetrics(config.out)).map(({ step }) => step)).toEqual([1, 2]);
  });

  it('does not take metrics that cannot be read for none', async () => {
    const { config, options } = await stopped();
    rmSync(join(config.out, METRICS_FILE));
    mkdirSync(join(config.out, METRICS_FILE));
    expect(await failure(config, options)).toMatchObject({ code: 'FILE_INVALID' });
  });

  it('of a run that is complete leaves its checkpoint alone', async () => {
    const { config, options } = await stopped();
    await run(config, options);
    const saved: string[] = [];
    const again = await run(config, { ...options, onCheckpoint: (name) => saved.push(name) });
    expect(again).toEqual({ complete: true, checkpoint: checkpointFolder(config.out, 2) });
    expect(saved).toEqual([]);
  });
});

describe('a run folder', () => {
  it('belongs to one run at a time, and is free again after it', async () => {
    const config = headless({ schedule: { steps: 1 } });
    const seconds: Promise<Error & { code: string }>[] = [];
    // The first one cannot end before the second one was refused.
    const held: LabellerV1 = {
      ...toySource,
      doLabel: async (request) => {
        await seconds[0];
        return toySource.doLabel(request);
      },
    };
    const onStart = () => seconds.push(failure(config, { resume: true }));
    await run(config, { source: held, onStart });
    expect(seconds).toHaveLength(1);
    const second = await seconds[0]!;
    expect(second.code).toBe('USAGE');
    expect(second.message).toMatch(new RegExp(`in use by 'train', process ${process.pid} on `));
    expect(existsSync(join(config.out, 'run.lock'))).toBe(false);
    const source = { ...toySource, doLabel: () => Promise.reject(new Error('no labels')) };
    expect((await failure(config, { resume: true, source })).message).toBe('no labels');
    expect(existsSync(join(config.out, 'run.lock'))).toBe(false);
  });
});

describe('samples with one id', () => {
  it('are told apart in messages', async () => {
    const lines = readFileSync(join(folder, 'data.jsonl'), 'utf8').trim().split('\n');
    const same = lines.map((line) => JSON.stringify({ ...JSON.parse(line), id: 'q' }));
    writeFileSync(join(folder, 'data.jsonl'), same.join('\n'));
    const config = headless();
    const error = await failure(config, { source: brokenAfter(1) });
    expect(error.message).toMatch(/'q \(sample \d of .*data\.jsonl\)'/);
  });
});
