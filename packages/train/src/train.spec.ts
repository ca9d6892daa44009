import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  fitToCells,
  type LabellerV1,
  openSafetensors,
  readSpatialCheckpoint,
  writePng,
} from '@spatialsv/core';
import { checkpointFolder } from './checkpoint/checkpoint.js';
import type { TrainConfig, TrainConfigInput } from './config/schema.js';
import { QuantisedAdamw } from './optimizer/quantised-adamw.js';
import { readMetrics } from './run-folder/metrics-log.js';
import { openToyBackbone } from './testing/toy-backbone.js';
import { toyLabels, toySource } from './testing/toy-data.js';
import { TOY_HEADS, toyConfig, writeToyInputs } from './testing/toy-run.js';
import { type TrainOptions, train } from './train.js';

// Compiling programs takes seconds on a machine that is busy with other tests.
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'train-'));
  await writeToyInputs(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

const ALL_TASKS: ('depth' | 'ray' | 'point')[] = ['depth', 'ray', 'point'];

const configure = (out: string, input: Partial<TrainConfigInput> = {}): TrainConfig =>
  toyConfig(folder, out, input);

async function run(config: TrainConfig, options: Partial<TrainOptions> = {}) {
  const backbone = await openToyBackbone(config.model);
  return train(config, { backbone, source: toySource, ...options });
}

/** What a run computed, without its timings. */
async function computed(config: TrainConfig) {
  return (await readMetrics(config.out)).map(({ step, losses, gradientNorm, learningRates }) => ({
    step,
    losses,
    gradientNorm,
    learningRates,
  }));
}

async function weights(config: TrainConfig, step: number) {
  const state = join(checkpointFolder(config.out, step), 'trainer/state.safetensors');
  return readFileSync(state);
}

describe('train', () => {
  it('lowers all five losses and writes the run folder', async () => {
    const config = configure('all', {
      schedule: { steps: 12, warmupRatio: 0 },
      heads: { ...TOY_HEADS, outputScale: 4, tasks: ALL_TASKS },
      losses: {},
    });
    const result = await run(config);
    expect(result).toEqual({ complete: true, checkpoint: checkpointFolder(config.out, 12) });
    const steps = await computed(config);
    expect(steps.map(({ step }) => step)).toEqual(Array.from({ length: 12 }, (_, i) => i + 1));
    for (const term of ['text', 'distillation', 'depth', 'ray', 'point', 'total'] as const) {
      expect(steps.at(-1)!.losses[term]!).toBeLessThan(steps[0]!.losses[term]!);
    }
    const manifest = JSON.parse(readFileSync(join(config.out, 'manifest.json'), 'utf8'));
    expect(manifest).toMatchObject({ seed: 0, source: { source: 'toy' }, data: [{ samples: 6 }] });
    expect(manifest.model.weightsHash).toMatch(/^[0-9a-f]{64}$/);
    expect(existsSync(join(config.out, 'config.yaml'))).toBe(true);
  });

  it('saves the layout of the backbone with the heads beside it', async () => {
    const config = configure('layout');
    const { checkpoint } = await run(config);
    const before = await openSafetensors(join(folder, 'model/model.safetensors'));
    const after = await openSafetensors(join(checkpoint, 'model.safetensors'));
    expect(after.names).toEqual(before.names);
    const same = async (name: string) =>
      Buffer.from(await before.readRaw(name)).equals(Buffer.from(await after.readRaw(name)));
    expect(await same('visual.patch.weight')).toBe(true);
    expect(await same('visual.merger.weight')).toBe(false);
    expect(await same('model.layers.0.mlp.up_proj.weight')).toBe(false);
    const spatial = await readSpatialCheckpoint(checkpoint);
    expect(spatial).toMatchObject({
      taps: [0, 1, 1, 2],
      featureChannels: 5,
      heads: { options: TOY_HEADS },
    });
    expect(Object.keys(spatial!.parameters)).toContain('spatial.distill.fc1.weight');
  });

  it('trains the parameters whose names fit, and leaves the others as they are', async () => {
    const trained = ['model.layers.*.self_attn.**', 'spatial.projectors.0.**'];
    const config = configure('trained', { trained, schedule: { steps: 2, warmupRatio: 0 } });
    const { checkpoint } = await run(config);
    const state = await openSafetensors(join(checkpoint, 'trainer/state.safetensors'));
    const names = state.names.flatMap((name) => /^parameters\/(.*)$/.exec(name)?.[1] ?? []);
    const fits = (name: string) =>
      /^model\.layers\.\d\.self_attn\.|^spatial\.projectors\.0\./.test(name);
    expect(names.length).toBeGreaterThan(8);
    expect(names.filter((name) => !fits(name))).toEqual([]);
    const before = await openSafetensors(join(folder, 'model/model.safetensors'));
    const after = await openSafetensors(join(checkpoint, 'model.safetensors'));
    for (const name of before.names) {
      const [old, now] = [await before.readRaw(name), await after.readRaw(name)];
      // A key bias changes no attention weight: its gradient is rounding error.
      if (name.endsWith('k_proj.bias')) continue;
      expect([name, Buffer.from(old).equals(Buffer.from(now))]).toEqual([name, !fits(name)]);
    }
    const spatial = await readSpatialCheckpoint(checkpoint);
    expect(Object.keys(spatial!.parameters)).toContain('spatial.projectors.1.fc1.weight');
  });

  it('refuses a pattern that fits nothing', async () => {
    const config = configure('idle', { trained: ['model.layers.*.self_attn.q_prj.*'] });
    await expect(run(config)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('q_prj'),
      hint: expect.stringContaining('q_proj'),
    });
  });

  it.each([32, 8] as const)('continues bit for bit with moments of %d bits', async (stateBits) => {
    const learningRates = { languageModel: 1e-2, projector: 1e-2, spatial: 1e-2 };
    const straight = configure(`straight-${stateBits}`, {
      schedule: { steps: 6, warmupRatio: 0.4 },
      // Wide enough for tensors whose moments take 8 bits.
      heads: { ...TOY_HEADS, projectorChannels: stateBits === 8 ? 300 : 16 },
      optimizer: { learningRates, stateBits },
    });
    const quantised = jest.spyOn(QuantisedAdamw.prototype, 'run');
    await run(straight);
    expect(quantised.mock.calls.length > 0).toBe(stateBits === 8);
    const config = { ...straight, out: join(folder, `resumed-${stateBits}`) };
    const abort = new AbortController();
    const onStep = ({ step }: { step: number }) => step === 3 && abort.abort();
    const first = await run(config, { onStep, signal: abort.signal });
    expect(first).toEqual({ complete: false, checkpoint: checkpointFolder(config.out, 3) });
    const second = await run(config, { resume: true });
    expect(second.complete).toBe(true);
    expect(await computed(config)).toEqual(await computed(straight));
    expect((await weights(config, 6)).equals(await weights(straight, 6))).toBe(true);
  });

  it('continues from the last checkpoint after a crash, dropping what came later', async () => {
    const config = configure('crash', {
      checkpointEvery: 2,
      schedule: { steps: 5, warmupRatio: 0 },
    });
    await run(config);
    const killed = { ...config, out: join(folder, 'killed') };
    cpSync(config.out, killed.out, { recursive: true });
    rmSync(checkpointFolder(killed.out, 5), { recursive: true });
    mkdirSync(`${checkpointFolder(killed.out, 5)}.incomplete`);
    writeFileSync(
      join(killed.out, 'config.yaml'),
      readFileSync(join(config.out, 'config.yaml'), 'utf8').replaceAll(config.out, killed.out),
    );
    await run(killed, { resume: true });
    expect(await computed(killed)).toEqual(await computed(config));
    expect((await weights(killed, 5)).equals(await weights(config, 5))).toBe(true);
  });

  it('trains on text alone, and on images alone', async () => {
    const text = configure('text', { arm: 'text' });
    await run(text);
    expect((await computed(text))[0]!.losses).toMatchObject({ depth: null, distillation: null });
    const lines = readFileSync(join(folder, 'data.jsonl'), 'utf8').trim().split('\n');
    const images = lines.map((line) => {
      const { id, images: paths } = JSON.parse(line);
      return JSON.stringify({ id, images: paths });
    });
    writeFileSync(join(folder, 'images.jsonl'), images.join('\n'));
    const data = [{ path: join(folder, 'images.jsonl') }];
    const spatial = configure('images', { data });
    await run(spatial);
    const [step] = await computed(spatial);
    expect(step!.losses.text).toBeNull();
    expect(step!.losses.depth).not.toBeNull();
    await expect(run(configure('nothing', { data, arm: 'text' }))).rejects.toMatchObject({
      code: 'DATA_INVALID',
    });
  });

  it('leaves a group with rate 0 as it is', async () => {
    const rates = { languageModel: 0, projector: 1e-2, spatial: 0 };
    const config = configure('frozen', { optimizer: { learningRates: rates } });
    const { checkpoint } = await run(config);
    const state = await openSafetensors(join(checkpoint, 'trainer/state.safetensors'));
    expect(state.names).toEqual(
      ['first', 'parameters', 'second'].map((kind) => `${kind}/visual.merger.weight`),
    );
    expect(
      Object.keys((await readSpatialCheckpoint(checkpoint))!.parameters).length,
    ).toBeGreaterThan(9);
  });

  it('names the loss term and the sample of a value that is not finite, and keeps the last good state', async () => {
    const config = configure('broken');
    let asked = 0;
    const source: LabellerV1 = {
      ...toySource,
      doLabel: async ({ images }) => {
        const labels = toyLabels(images.length);
        asked += 1;
        const broken = images[0]!.endsWith('3-a.png') && asked > 1;
        if (broken) labels.features!.data.fill(Number.NaN);
        return labels;
      },
    };
    const failure = run(config, { source });
    await expect(failure).rejects.toMatchObject({ code: 'NON_FINITE' });
    const error = (await failure.catch((caught: unknown) => caught)) as Error;
    expect(error.message).toContain("'distillation'");
    expect(error.message).toContain("'q3'");
    const taken = (await readMetrics(config.out)).length;
    expect(existsSync(checkpointFolder(config.out, taken))).toBe(true);
  });

  it('refuses labels under a licence that does not allow what the run is for', async () => {
    const { provenance } = toySource;
    const licence = { name: 'CC-BY-NC-4.0', commercialUse: false };
    const source: LabellerV1 = { ...toySource, provenance: { ...provenance, licence } };
    await expect(
      run(configure('commercial', { commercialUse: true }), { source }),
    ).rejects.toMatchObject({
      code: 'DATA_INVALID',
      message: expect.stringContaining('CC-BY-NC-4.0'),
    });
    expect((await run(configure('research'), { source })).complete).toBe(true);
    const allowed = configure('allowed', { commercialUse: true });
    expect((await run(allowed, { source: toySource })).complete).toBe(true);
  });

  it('refuses an image before it begins, with file and sample', async () => {
    const lines = readFileSync(join(folder, 'data.jsonl'), 'utf8').trim().split('\n');
    const last = { ...JSON.parse(lines.at(-1)!), id: 'wide', images: ['strip.png'] };
    await writePng(join(folder, 'strip.png'), new Uint8Array(3 * 900), {
      ...{ width: 900, height: 1, channels: 3 },
    });
    const path = join(folder, 'strip.jsonl');
    writeFileSync(path, `${[...lines.slice(0, -1), JSON.stringify(last)].join('\n')}\n`);
    const config = configure('strip', { data: [{ path }] });
    const backbone = await openToyBackbone(config.model);
    const requireImageSize = ({ width, height }: { width: number; height: number }) =>
      void fitToCells(height, width, { cell: 2, minPixels: 4, maxPixels: 64 });
    const failing = run(config, { backbone: { ...backbone, requireImageSize } });
    await expect(failing).rejects.toMatchObject({
      code: 'IMAGE_INVALID',
      message: expect.stringMatching(/strip\.jsonl: sample 'wide': .*strip\.png.*900×1/),
    });
    expect(existsSync(config.out)).toBe(false);
  });

  it('refuses a folder in use and a changed configuration', async () => {
    const config = configure('use');
    await run(config);
    await expect(run(config)).rejects.toMatchObject({ code: 'USAGE' });
    await expect(run({ ...config, seed: 3 }, { resume: true })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
  });

  it('keeps vision features on disk', async () => {
    const featureCache = join(folder, 'features');
    const first = configure('cache-a', { featureCache });
    await run(first);
    const second = configure('cache-b', { featureCache });
    await run(second);
    expect(await computed(second)).toEqual(await computed(first));
  });
});
