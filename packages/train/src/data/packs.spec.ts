import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TrainConfigInput } from '../config/schema.js';
import { readMetrics } from '../run-folder/metrics-log.js';
import type { Recompute } from '../step/open-runner.js';
import type { StepShape } from '../step/step-shape.js';
import { openToyBackbone } from '../testing/toy-backbone.js';
import { toySource } from '../testing/toy-data.js';
import { TOY_HEADS, toyConfig, writeToyInputs } from '../testing/toy-run.js';
import {
  expectGradientsClose,
  openToyStep,
  readToySamples,
  sumGradients,
} from '../testing/toy-step.js';
import { train } from '../train.js';
import { joinSamples } from './join-samples.js';
import { PackReader } from './pack-reader.js';
import type { LeftOutSample, ReadySample } from './run-samples.js';
import type { SampleInputs } from './sample-inputs.js';

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'packs-'));
  await writeToyInputs(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

const ALL = { ...TOY_HEADS, tasks: ['depth' as const, 'ray' as const, 'point' as const] };

/** Four samples of other lengths: two with everything, one without text and of one view, one without labels. */
async function setUp(input: Partial<TrainConfigInput>, withLabels: boolean) {
  const config = toyConfig(folder, 'step', input);
  const parts = await openToyStep(config, { taps: [0, 1, 1, 2], withLabels });
  const [a, b, c, d] = await readToySamples(config);
  const { question, answer, ...images } = c!;
  const samples = [
    await parts.builder.build(a!),
    await parts.builder.build({ ...b!, question: 'where '.repeat(9) }),
    withLabels
      ? await parts.builder.build({ ...images, images: c!.images.slice(1) })
      : await parts.builder.build(c!),
    await parts.builder.build({ ...d!, answer: 'far behind' }, false),
  ];
  return { parts, samples };
}

async function bothWays(
  recompute: Recompute,
  input: Partial<TrainConfigInput>,
  withLabels: boolean,
) {
  const alone = await setUp(input, withLabels);
  const together = await setUp(input, withLabels);
  const [a, b, c, d] = together.samples;
  return {
    alone: await sumGradients(
      alone.parts,
      recompute,
      alone.samples.map((each) => [each]),
    ),
    together: await sumGradients(together.parts, recompute, [[a!, b!, c!, d!]]),
  };
}

describe('samples in one sequence', () => {
  it.each<[string, Recompute, Partial<TrainConfigInput>, boolean]>([
    ['all losses', 'none', { heads: ALL }, true],
    ['one head, layers computed again', 'layer', {}, true],
    ['text alone', 'none', { arm: 'text' }, false],
    ['low-rank updates', 'layer', { train: { llm: 'lora' }, lora: { rank: 2 } }, true],
  ])('have the losses and gradients that they have alone, to 1e-4: %s', async (_, ...how) => {
    const { alone, together } = await bothWays(...how);
    for (const [index, losses] of alone.losses.entries())
      for (const [term, value] of Object.entries(losses))
        if (value === null) expect(together.losses[index]![term as 'total']).toBeNull();
        else expect(together.losses[index]![term as 'total']! / value).toBeCloseTo(1, 4);
    expectGradientsClose(together.sums, alone.sums, 1e-4);
  });
});

describe('joinSamples', () => {
  const shape = (tokens: number): StepShape => ({
    ...{ tokens, positionRows: 3, targets: 2, geometry: false, featureChannels: 0 },
    views: [{ layout: { key: '1x1' }, h: 1, w: 1, features: [1, 1] }],
  });
  /** Two of four tokens, of which the second is seen; a target. */
  const sample = (id: number): SampleInputs => ({
    shape: shape(4),
    tokens: 3,
    hasText: true,
    tensors: {
      inputIds: Int32Array.of(id, 1, id, 0),
      positions: Int32Array.of(0, 1, 2, 3, 0, 7, 8, 9, 0, 5, 6, 7),
      spliceIndex: Int32Array.of(0, 4, 2, 3),
      features: { v0: Float32Array.of(id) },
      cells: { v0: Int32Array.of(1) },
      targetRows: Int32Array.of(1, 0),
      targets: Int32Array.of(id, 0),
      targetWeights: Float32Array.of(1, 0),
    },
  });

  it('moves what says where something stands, and begins positions anew', () => {
    const { shape: pack, tensors } = joinSamples([sample(8), sample(9)]);
    expect(pack).toMatchObject({ tokens: 32, positionRows: 3 });
    const { samples, ...sequence } = tensors as Record<string, Int32Array> & {
      readonly samples: Record<string, Record<string, unknown>>;
    };
    expect([...sequence['inputIds']!.subarray(0, 7)]).toEqual([8, 1, 8, 9, 1, 9, 0]);
    const positions = [...sequence['positions']!];
    expect(positions.slice(0, 6)).toEqual([0, 1, 2, 0, 1, 2]);
    expect(positions.slice(32, 38)).toEqual([0, 7, 8, 0, 7, 8]);
    expect(positions.slice(64, 70)).toEqual([0, 5, 6, 0, 5, 6]);
    expect([...sequence['spliceIndex']!.subarray(0, 7)]).toEqual([0, 32, 2, 3, 33, 5, 6]);
    expect([...sequence['segments']!.subarray(0, 8)]).toEqual([0, 0, 0, 1, 1, 1, 2, 2]);
    expect(sequence['features']).toEqual({ v0: Float32Array.of(8), v1: Float32Array.of(9) });
    expect(samples['s1']).toMatchObject({
      ...{ cells: { v0: Int32Array.of(4) }, targetRows: Int32Array.of(4, 3) },
      targets: Int32Array.of(9, 0),
    });
  });
});

describe('PackReader', () => {
  /** Packs of samples of these lengths, read from a position on; a length of 0 stands for one that is left out. */
  async function read(
    lengths: readonly number[],
    { tokens, batchSize }: { readonly tokens: number | undefined; readonly batchSize: number },
    from = 0,
  ) {
    const prepared: unknown[] = [];
    const taken: number[] = [];
    const take = async (position: number) => {
      taken.push(position);
      const id = String(position);
      if (lengths[position] === 0) {
        const record = { position, step: 1, sample: id, code: 'FILE_MISSING', message: 'gone' };
        return { skip: record, isNew: true } as LeftOutSample;
      }
      const shape = { tokens: 32, positionRows: 1 as const, targets: 0, views: [] };
      return { id, inputs: { tokens: lengths[position]!, shape } } as unknown as ReadySample;
    };
    const reader = new PackReader(
      { take },
      { tokens, batchSize, end: lengths.length, onPack: (pack) => prepared.push(pack) },
    );
    const packs: string[] = [];
    let leftOut = 0;
    for (let position = from; position < lengths.length; ) {
      const pack = await reader.take(position);
      packs.push(pack.samples.map(({ id }) => id).join(' '));
      leftOut += pack.leftOut.length;
      position = pack.behind;
    }
    return { packs, taken, prepared, leftOut };
  }

  it('joins neighbours as long as they fit, never of two steps, each read once', async () => {
    const lengths = [10, 10, 10, 40, 10, 10, 10, 10];
    const { packs, taken, prepared } = await read(lengths, { tokens: 30, batchSize: 4 });
    expect(packs).toEqual(['0 1 2', '3', '4 5 6', '7']);
    expect(taken).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(prepared).toHaveLength(4);
  });

  it('makes the same packs when it begins at a later step', async () => {
    const lengths = [10, 25, 10, 10, 5, 25, 20, 10];
    const options = { tokens: 30, batchSize: 4 };
    const { packs } = await read(lengths, options);
    expect(packs).toEqual(['0', '1', '2 3', '4 5', '6 7']);
    expect((await read(lengths, options, 4)).packs).toEqual(['4 5', '6 7']);
  });

  it('passes over what is left out', async () => {
    const lengths = [10, 0, 10, 0, 0, 0, 0, 0];
    const { packs, leftOut } = await read(lengths, { tokens: 30, batchSize: 4 });
    expect(packs).toEqual(['0 2', '']);
    expect(leftOut).toBe(6);
  });

  it('leaves every sample alone where nothing is said', async () => {
    const { packs } = await read([1, 0, 1], { tokens: undefined, batchSize: 3 });
    expect(packs).toEqual(['0', '', '2']);
  });
});

describe('a run with packTokens', () => {
  const run = async (out: string, input: Partial<TrainConfigInput>, signalAt?: number) => {
    const config = toyConfig(folder, out, {
      ...{ batchSize: 3, schedule: { steps: 3, warmupRatio: 0 }, ...input },
      lora: { rank: 2, dropout: input.lora?.dropout ?? 0 },
    });
    const abort = new AbortController();
    const onStep = ({ step }: { readonly step: number }) => step === signalAt && abort.abort();
    const backbone = await openToyBackbone(config.model);
    const options = { backbone, source: toySource, onStep, signal: abort.signal };
    const result = await train(config, { ...options, resume: true });
    const state = readFileSync(join(result.checkpoint, 'trainer/state.safetensors'));
    return { state, losses: (await readMetrics(config.out)).map(({ losses }) => losses) };
  };

  it('learns what one without learns', async () => {
    const alone = await run('alone', {});
    const packed = await run('packed', { packTokens: 64 });
    for (const [step, losses] of alone.losses.entries())
      for (const term of ['text', 'depth', 'distillation', 'total'] as const)
        expect(packed.losses[step]![term]! / losses[term]!).toBeCloseTo(1, 3);
  });

  it('resumes to the bit, with dropout', async () => {
    const input: Partial<TrainConfigInput> = {
      ...{ packTokens: 64, train: { llm: 'lora' }, lora: { dropout: 0.2 } },
    };
    const straight = await run('straight', input);
    await run('stopped', input, 1);
    expect((await run('stopped', input)).state.equals(straight.state)).toBe(true);
  });

  it('is refused for a decoder that does not keep samples apart', async () => {
    const config = toyConfig(folder, 'refused', { packTokens: 64 });
    const backbone = await openToyBackbone(config.model);
    const decoder = { ...backbone.decoder, separatesSegments: false };
    const options = { backbone: { ...backbone, decoder }, source: toySource };
    await expect(train(config, options)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining("decoder of 'toy'"),
    });
  });
});
