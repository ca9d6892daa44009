import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type BackboneV1,
  CompiledDecoder,
  type PreparedInputsV1,
  SAMPLING_DEFAULTS,
} from '@spatialsv/core';
import { liveHandles, ProgramCache } from '@spatialsv/engine';
import { inThreeRows, layOut, makeTestBackbone } from '../testing/test-backbone.js';
import type { GenerateOptions } from './answer.js';
import { BackboneRunner } from './backbone-runner.js';

const root = mkdtempSync(join(tmpdir(), 'spatialsv-batch-'));
const newFolder = () => mkdtempSync(join(root, 'model-'));
afterAll(() => rmSync(root, { recursive: true }));

const views = [
  [2, 3],
  [4, 2],
] as const;
const long = Array.from({ length: 40 }, (_, i) => 1 + (i % 9));
const drawn = (seed: number) => ({ ...SAMPLING_DEFAULTS, temperature: 1.5, seed });

/** Prompts of other lengths, some about the same views, with their own ways and lengths of answers. */
const ASKED: readonly (readonly [PreparedInputsV1, GenerateOptions])[] = [
  [layOut([1, 2, 3], views, [7, 8]), { maxNewTokens: 12 }],
  [layOut([5, 6, 7], [], [8]), { maxNewTokens: 30 }],
  [layOut([1, 2, 3], views, long), { maxNewTokens: 3 }],
  [layOut([1, 2, 3], views, [9]), { maxNewTokens: 40, sampling: drawn(5) }],
  [layOut([4], [[6, 7]], [2]), { maxNewTokens: 20, repetitionPenalty: 1.3 }],
  [layOut([1, 2, 3], views, [9]), { maxNewTokens: 40, sampling: drawn(6) }],
  [layOut([1, 2, 3], views, [3, 4]), { maxNewTokens: 1 }],
  [layOut([2], [[1, 2]], [2, 2]), { maxNewTokens: 17, sampling: drawn(7), repetitionPenalty: 1.1 }],
];

describe.each([
  ['plain positions', 1],
  ['positions in time, height and width', 3],
] as const)('answers that are decoded together, %s', (_, positionRows) => {
  const lay = positionRows === 1 ? (inputs: PreparedInputsV1) => inputs : inThreeRows;
  const asked = ASKED.map(([inputs, options]) => [lay(inputs), options] as const);
  let backbone: BackboneV1;
  /** Token by token, each prompt read anew. */
  let alone: readonly (readonly number[])[];

  beforeAll(async () => {
    backbone = await makeTestBackbone(newFolder(), { positionRows });
    const plain = new BackboneRunner(backbone, { answers: 1, reuse: false });
    const answers = [];
    for (const [inputs, options] of asked)
      answers.push((await plain.generate(inputs, options)).ids);
    await plain.dispose();
    alone = answers;
  });

  const askAll = async (runner: BackboneRunner) => {
    const answers = asked.map(([inputs, options]) => runner.generate(inputs, options));
    return (await Promise.all(answers)).map(({ ids }) => ids);
  };

  it('end at different times', () => {
    const lengths = alone.map(({ length }) => length);
    expect(new Set(lengths).size).toBeGreaterThan(4);
  });

  it.each([8, 3, 1])('are those of each alone, %i at a time', async (answers) => {
    const runner = new BackboneRunner(backbone, { answers });
    expect(await askAll(runner)).toEqual(alone);
    // And again, in a cache whose slots were used by others.
    expect(await askAll(runner)).toEqual(alone);
    await runner.dispose();
  });

  it('are those of each alone where starts are not shared', async () => {
    const runner = new BackboneRunner(backbone, { reuse: false });
    expect(await askAll(runner)).toEqual(alone);
    await runner.dispose();
  });

  it('are those of each alone with blocks that know one sequence', async () => {
    const decoder = { ...backbone.decoder, takesSlots: false };
    const runner = new BackboneRunner({ ...backbone, decoder });
    expect(await askAll(runner)).toEqual(alone);
    await runner.dispose();
  });

  it('may be asked for while others are under way', async () => {
    const runner = new BackboneRunner(backbone, { answers: 3 });
    const answers = asked.map(async ([inputs, options], i) => {
      for (let turn = 0; turn < 20 * i; turn += 1) await new Promise(setImmediate);
      return (await runner.generate(inputs, options)).ids;
    });
    expect(await Promise.all(answers)).toEqual(alone);
    await runner.dispose();
  });
});

describe('AnswerBatch', () => {
  let backbone: BackboneV1;
  beforeAll(async () => {
    backbone = await makeTestBackbone(newFolder());
  });

  it('reads the weights once for a token of every answer', async () => {
    const runner = new BackboneRunner(backbone);
    const prompts = [1, 2, 3, 4].map((id) => layOut([id], [], [id]));
    const options = { maxNewTokens: 4, sampling: drawn(1) };
    const first = await Promise.all(prompts.map((inputs) => runner.generate(inputs, options)));
    const steps = Math.max(...first.map(({ ids }) => ids.length)) - 1;
    expect(steps).toBeGreaterThan(1);
    const use = jest.spyOn(ProgramCache.prototype, 'use');
    await Promise.all(prompts.map((inputs) => runner.generate(inputs, options)));
    const programs = backbone.config.layers + 2;
    // The last layer of a prompt is two: keys of all its tokens, and the block of the last one.
    expect(use).toHaveBeenCalledTimes(prompts.length * (programs + 1) + steps * programs);
    use.mockRestore();
    await runner.dispose();
  });

  it('reads the views of questions about them once, and the questions together', async () => {
    const prefill = jest.spyOn(CompiledDecoder.prototype, 'prefill');
    const extend = jest.spyOn(CompiledDecoder.prototype, 'extend');
    const runner = new BackboneRunner(backbone);
    const prompts = [[7, 8], [9], long].map((question) => layOut([1, 2], views, question));
    await Promise.all(prompts.map((inputs) => runner.generate(inputs, { maxNewTokens: 1 })));
    expect([prefill.mock.calls.length, extend.mock.calls.length]).toEqual([1, 1]);
    prefill.mockRestore();
    extend.mockRestore();
    await runner.dispose();
  });

  it('stops one answer and goes on with the others', async () => {
    const runner = new BackboneRunner(backbone);
    const stop = new AbortController();
    const [inputs, options] = ASKED[1]!;
    const alone = await runner.generate(inputs, options);
    const [stopped, other] = await Promise.all([
      runner.generate(ASKED[0]![0], {
        ...{ maxNewTokens: 12, signal: stop.signal },
        onToken: (count) => count === 2 && stop.abort(),
      }),
      runner.generate(inputs, options),
    ]);
    expect([stopped.stoppedBy, stopped.ids.length]).toEqual(['signal', 2]);
    expect(other).toEqual(alone);
    await runner.dispose();
  });

  it('gives what goes wrong with one answer to that one', async () => {
    const runner = new BackboneRunner(backbone);
    const [inputs, options] = ASKED[1]!;
    const alone = await runner.generate(inputs, options);
    const spoilt = layOut([1], [[1, 1]], [2]);
    const [view] = spoilt.views;
    const listener = () => {
      throw new Error('a listener failed');
    };
    const [failed, broken, other] = await Promise.allSettled([
      runner.generate(ASKED[0]![0], { onToken: listener }),
      runner.generate(
        { ...spoilt, views: [{ ...view!, pixelValues: new Float32Array(5) }] },
        options,
      ),
      runner.generate(inputs, options),
    ]);
    expect(failed).toMatchObject({ reason: { message: 'a listener failed' } });
    expect(broken).toMatchObject({ status: 'rejected' });
    expect(other).toEqual({ status: 'fulfilled', value: alone });
    await runner.dispose();
  });

  it('ends answers under way when the runner is disposed, and leaves nothing behind', async () => {
    const before = liveHandles();
    const runner = new BackboneRunner(backbone);
    const answers = ASKED.map(([inputs, options]) =>
      runner.generate(inputs, { ...options, maxNewTokens: 1000, repetitionPenalty: 3 }),
    );
    const outcomes = Promise.allSettled(answers);
    await runner.dispose();
    const rejected = (await outcomes).filter(({ status }) => status === 'rejected');
    expect(rejected.length).toBeGreaterThan(0);
    expect(liveHandles()).toBe(before);
    await expect(runner.generate(ASKED[1]![0])).rejects.toMatchObject({ code: 'USAGE' });
  });
});
