import path from 'node:path';
import { type DeviceTensor, ProgramCache, type Tensor, tf } from '@spatialsv/engine';
import { float32Source, openSafetensors, writeSafetensors } from '../safetensors/index.js';
import type { DecoderSite, Parameters } from '../spec.js';
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

  it('continues a prompt from its cache, token by token', async () => {
    const more = [11, 3, 17];
    const tokens = testPrompt.inputIds.length;
    const expected = whole(more).logits;
    const row = (i: number) => tf.slice(expected, [i, 0], [1, testSizes.vocabularySize]);
    const { logits, cache } = await compiled.prefill(padSequence(testPrompt), testRows, 40);
    close(logits, row(tokens - 1));
    const memory = () =>
      Promise.all(cache.layers.flatMap(({ keys, values }) => [keys.read(), values.read()]));
    const before = await memory();
    for (const [i, id] of more.entries()) {
      const positions = new Int32Array(3).fill(testPrompt.nextPosition + i);
      close(await compiled.step(cache, { id, positions, slot: tokens + i }), row(tokens + i));
    }
    // Written in place: no second copy of the cache.
    for (const [i, array] of (await memory()).entries()) expect(array).toBe(before[i]);
    cache.dispose();
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
    const { cache } = await fresh.prefill(padSequence(testPrompt), testRows, 40);
    await fresh.step(cache, { id: 1, positions: new Int32Array(3).fill(7), slot: 9 });
    expect(own.size).toBe(6); // embedding, block and head, for the prompt and for one token
    cache.dispose();
    await own.dispose();
  });

  it('prepares just the programs that prefill, steps and forward use', async () => {
    const own = new ProgramCache(32);
    const options = { decoder: testDecoder, sizes: testSizes, weights, programs: own };
    const fresh = new CompiledDecoder(options);
    const sequence = padSequence(testPrompt);
    await fresh.prepareGeneration(sequence, 4, 40);
    expect(own.size).toBe(6);
    const { cache } = await fresh.prefill(sequence, testRows, 40);
    await fresh.step(cache, { id: 1, positions: new Int32Array(3).fill(7), slot: 9 });
    expect(own.size).toBe(6);
    const request = { taps: ['layer:2', 'final'], logits: true } as const;
    await fresh.prepareForward(sequence, 4, request);
    expect(own.size).toBe(8); // block and head; the embedding is there
    await fresh.forward(sequence, testRows, request);
    expect(own.size).toBe(8);
    cache.dispose();
    await own.dispose();
  });
});
