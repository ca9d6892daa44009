import path from 'node:path';
import { type DeviceTensor, liveHandles, ProgramCache, type Tensor, tf } from '@spatialsv/engine';
import { float32Source, openSafetensors, writeSafetensors } from '../safetensors/index.js';
import type { BlockInputsV1, DecoderSite, Parameters } from '../spec.js';
import { expectAllclose, withTemporaryFolder } from '../testing/index.js';
import {
  onDevice,
  testDecoder,
  testPrompt,
  testRows,
  testShapes,
  testSizes,
  testValues,
} from './__fixtures__/test-decoder.js';
import { CompiledDecoder } from './compiled-decoder.js';
import { decodeSequence, embedSequence } from './decode-sequence.js';
import type { DecoderCache } from './decoder-cache.js';
import { padSequence } from './sequence-layout.js';
import { siteOfLayer } from './tap-sites.js';

const SITES = [0, 1, 2, 3, 4].map((layer) => siteOfLayer(layer, 4));
const values = testValues();
let weights: Readonly<Record<string, DeviceTensor>>;
let programs: ProgramCache;
let compiled: CompiledDecoder;

beforeAll(async () => {
  await tf.setBackend('cpu');
  weights = onDevice(values);
  programs = new ProgramCache(32);
  compiled = new CompiledDecoder({ decoder: testDecoder, sizes: testSizes, weights, programs });
});

afterAll(async () => {
  await programs.dispose();
  for (const tensor of Object.values(weights)) tensor.dispose();
});

/** The prompt and further ids as one graph, eagerly and without padding. */
function whole(
  more: readonly number[] = [],
  given = values,
): { hidden: Record<string, Tensor>; logits: Tensor } {
  const parameters: Parameters = Object.fromEntries(
    Object.entries(given).map(([name, data]) => [name, tf.tensor(data, [...testShapes[name]!])]),
  );
  const tokens = testPrompt.inputIds.length;
  const length = tokens + more.length;
  const padded = padSequence(testPrompt, length);
  const inputIds = tf.tensor1d([...testPrompt.inputIds, ...more], 'int32');
  const spliceIndex = tf.tensor1d(padded.spliceIndex, 'int32');
  const visualRows = tf.tensor2d(testRows, [4, testSizes.hiddenSize]);
  const embeddings = embedSequence(testDecoder, parameters, { inputIds, spliceIndex, visualRows });
  const positions = tf.tensor2d(padded.positions, [3, length], 'int32');
  const request = { taps: SITES, last: true };
  const out = decodeSequence(testDecoder, parameters, { embeddings, positions }, request);
  const hidden = out.hidden as Record<string, Tensor>;
  return { hidden, logits: testDecoder.logits(parameters, out.last!) };
}

const close = (actual: Float32Array, expected: Tensor) =>
  expectAllclose(actual, expected.dataSync(), { rtol: 1e-5, atol: 1e-5 });

describe('CompiledDecoder', () => {
  it('gives states at every site and logits as one graph does', async () => {
    const expected = whole();
    const request = { taps: SITES, logits: true };
    const found = await compiled.forward(padSequence(testPrompt), testRows, request);
    expect(Object.keys(found.hidden)).toEqual(SITES);
    for (const site of SITES) close(found.hidden[site]!, expected.hidden[site]!);
    close(found.logits!, expected.logits);
  });

  it('runs no block above the highest site', async () => {
    const names = Object.entries(weights).filter(
      ([name]) => !/layers\.[23]|norm\.weight$/.test(name),
    );
    const rest = Object.entries(weights).filter(([name]) => /layers\.[01]/.test(name));
    const some = Object.fromEntries([...names, ...rest]);
    const cut = new CompiledDecoder({
      decoder: testDecoder,
      sizes: testSizes,
      weights: some,
      programs,
    });
    const request = { taps: ['layer:2'] as const, logits: false };
    const { hidden } = await cut.forward(padSequence(testPrompt), testRows, request);
    close(hidden['layer:2']!, whole().hidden['layer:2']!);
    const more = { taps: ['layer:3'] as const, logits: false };
    await expect(cut.forward(padSequence(testPrompt), testRows, more)).rejects.toMatchObject({
      code: 'WEIGHT_MISSING',
      message: expect.stringContaining('model.layers.2.'),
    });
  });

  it('refuses a site that is not there', async () => {
    const request = { taps: ['layer:4' as DecoderSite], logits: false };
    await expect(
      compiled.forward(padSequence(testPrompt), testRows, request),
    ).rejects.toMatchObject({ code: 'TAP_UNKNOWN' });
  });

  /** The test prompt, read into these slots of a cache. */
  const read = (decoder: CompiledDecoder, cache: DecoderCache, slots: readonly number[]) =>
    decoder.prefill(padSequence(testPrompt), testRows, cache, slots);

  const tokens = testPrompt.inputIds.length;
  const row = (logits: Tensor, i: number) =>
    tf.slice(logits, [i, 0], [1, testSizes.vocabularySize]);

  /** Ids behind the test prompt, from the k-th on. */
  const behind = (
    ids: readonly number[],
    seen: readonly number[],
    slots: readonly number[],
    k = 0,
  ) => ({
    inputIds: Int32Array.from(ids),
    positions: Int32Array.from(
      [0, 1, 2].flatMap(() => ids.map((_, i) => testPrompt.nextPosition + k + i)),
    ),
    seen,
    slots,
  });

  it('continues a prompt from its cache, token by token', async () => {
    const more = [11, 3, 17];
    const expected = whole(more).logits;
    const cache = compiled.createCache(40);
    const seen = [...Array(tokens).keys()];
    close(await read(compiled, cache, seen), row(expected, tokens - 1));
    const memory = () =>
      Promise.all(cache.layers.flatMap(({ keys, values }) => [keys.read(), values.read()]));
    const before = await memory();
    for (const [i, id] of more.entries()) {
      const [logits] = await compiled.extend(cache, [behind([id], seen, [tokens + i], i)]);
      close(logits!, row(expected, tokens + i));
      seen.push(tokens + i);
    }
    // Written in place: no second copy of the cache.
    for (const [i, array] of (await memory()).entries()) expect(array).toBe(before[i]);
    cache.dispose();
  });

  describe.each([
    ['that take slots', true],
    ['that know one sequence', false],
  ])('with blocks %s', (_, takesSlots) => {
    let decoder: CompiledDecoder;
    beforeAll(() => {
      const { block } = testDecoder;
      const alone = {
        ...testDecoder,
        takesSlots: false,
        block: (kind: string, parameters: Parameters, x: Tensor, inputs: BlockInputsV1) => {
          expect(inputs).not.toHaveProperty('slots');
          return block(kind, parameters, x, inputs);
        },
      };
      const chosen = takesSlots ? testDecoder : alone;
      decoder = new CompiledDecoder({ decoder: chosen, sizes: testSizes, weights, programs });
    });

    it('continues several sequences of one cache at once, each as if alone', async () => {
      const continued = [[11, 3, 17, 2, 5], [6], [8, 1]];
      const expected = continued.map((ids) => whole(ids).logits);
      // Slots in no order; the second and the third share the prompt.
      const slots = Array.from({ length: 59 }, (_, i) => (i * 7) % 59);
      const take = (count: number) => slots.splice(0, count);
      const prompts = [take(tokens), take(tokens)] as const;
      const cache = decoder.createCache(60);
      for (const places of prompts) await read(decoder, cache, places);
      const [first, second, third] = [prompts[0], prompts[1], prompts[1]].map((p) => [...p]) as [
        number[],
        number[],
        number[],
      ];
      const more = [take(3), take(1), take(2)] as const;
      const logits = await decoder.extend(cache, [
        behind([11, 3, 17], first, more[0]),
        behind([6], second, more[1]),
        behind([8, 1], third, more[2]),
      ]);
      close(logits[0]!, row(expected[0]!, tokens + 2));
      close(logits[1]!, row(expected[1]!, tokens));
      close(logits[2]!, row(expected[2]!, tokens + 1));
      // The second has ended; the first goes on, in its slot among others.
      first.push(...more[0]);
      const grown = await decoder.growCache(cache, 75);
      const [step] = await decoder.extend(grown, [behind([2], first, [more[1][0]!], 3)]);
      close(step!, row(expected[0]!, tokens + 3));
      first.push(more[1][0]!);
      const [last] = await decoder.extend(grown, [behind([5], first, [70], 4)]);
      close(last!, row(expected[0]!, tokens + 4));
      grown.dispose();
    });

    it('leaves nothing of a cache that cannot grow', async () => {
      await decoder.growCache(decoder.createCache(40), 75).then((grown) => grown.dispose());
      const before = liveHandles();
      const cache = decoder.createCache(40);
      cache.layers.at(-1)!.values.dispose();
      await expect(decoder.growCache(cache, 75)).rejects.toMatchObject({ code: 'DISPOSED' });
      expect(liveHandles()).toBe(before);
    });

    it('reads its weights as often as it has to', async () => {
      const cache = decoder.createCache(64);
      await read(decoder, cache, [...Array(tokens).keys()]);
      const use = jest.spyOn(ProgramCache.prototype, 'use');
      const seen = [...Array(tokens).keys()];
      await decoder.extend(
        cache,
        [3, 4, 5].map((id, i) => behind([id], seen, [20 + i])),
      );
      const passes = takesSlots ? 1 : 3;
      expect(use).toHaveBeenCalledTimes(passes * (testSizes.layers + 2));
      use.mockRestore();
      cache.dispose();
    });
  });

  it.each(['F32', 'BF16'] as const)(
    'runs every block with its own %s weights in their file',
    (dtype) =>
      withTemporaryFolder(async (folder) => {
        const file = path.join(folder, 'weights.safetensors');
        const sources = Object.entries(values).map(
          ([name, data]) => [name, float32Source(data, testShapes[name]!, dtype)] as const,
        );
        await writeSafetensors(file, new Map(sources));
        const reader = await openSafetensors(file);
        const stored = await Promise.all(
          Object.keys(values).map(async (name) => [name, await reader.readFloat32(name)] as const),
        );
        const own = new ProgramCache(32);
        const mapped = Object.fromEntries(
          Object.keys(values).map((name) => [name, reader.mapped(name)]),
        );
        const sizes = testSizes;
        const inFile = new CompiledDecoder({
          decoder: testDecoder,
          sizes,
          weights: mapped,
          programs: own,
        });
        const request = { taps: SITES, logits: true };
        const found = await inFile.forward(padSequence(testPrompt), testRows, request);
        const expected = whole([], Object.fromEntries(stored));
        for (const site of SITES) close(found.hidden[site]!, expected.hidden[site]!);
        close(found.logits!, expected.logits);
        expect(own.size).toBe(3); // embedding, block and head
        await own.dispose();
      }),
  );

  it('compiles one program for all blocks of a kind', async () => {
    const own = new ProgramCache(32);
    const fresh = new CompiledDecoder({
      decoder: testDecoder,
      sizes: testSizes,
      weights,
      programs: own,
    });
    const cache = fresh.createCache(40);
    const seen = [...Array(tokens).keys()];
    await read(fresh, cache, seen);
    await fresh.extend(cache, [behind([1], seen, [9])]);
    // Embedding, block, and keys of the last one, for the prompt; embedding, block and head for one token.
    expect(own.size).toBe(6);
    cache.dispose();
    await own.dispose();
  });

  it('prepares just the programs that prefill, steps and forward use', async () => {
    const own = new ProgramCache(32);
    const options = { decoder: testDecoder, sizes: testSizes, weights, programs: own };
    const fresh = new CompiledDecoder(options);
    const sequence = padSequence(testPrompt);
    await fresh.prepareGeneration(sequence, 4, { capacity: 40, sequences: 3 });
    expect(own.size).toBe(8);
    const cache = fresh.createCache(40);
    const seen = [...Array(tokens).keys()];
    await fresh.prefill(sequence, testRows, cache, seen);
    await fresh.extend(
      cache,
      [1, 2, 3].map((id, i) => behind([id], seen, [9 + i])),
    );
    expect(own.size).toBe(8);
    const request = { taps: ['layer:2', 'final'], logits: true } as const;
    await fresh.prepareForward(sequence, 4, request);
    expect(own.size).toBe(10); // block and head; the embedding is there
    await fresh.forward(sequence, testRows, request);
    expect(own.size).toBe(10);
    cache.dispose();
    await own.dispose();
  });
});
