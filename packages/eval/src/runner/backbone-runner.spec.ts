import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type BackboneV1,
  CompiledDecoder,
  decodeSequence,
  dptGeometryHead,
  embedSequence,
  openWeights,
  type Parameters,
  type PreparedInputsV1,
} from '@spatialsv/core';
import { createTensor, liveHandles, type Tensor, tf } from '@spatialsv/engine';
import { END, layOut, makeTestBackbone } from '../testing/test-backbone.js';
import { BackboneRunner, gridRows } from './backbone-runner.js';

const folder = mkdtempSync(join(tmpdir(), 'spatialsv-runner-'));
let backbone: BackboneV1;
let parameters: Parameters;
let runner: BackboneRunner;

beforeAll(async () => {
  await tf.setBackend('cpu');
  backbone = await makeTestBackbone(folder);
  const reader = await openWeights(folder);
  const entries = Object.keys(backbone.weights).map(async (name) => [
    name,
    tf.tensor(await reader.readFloat32(name), [...backbone.weights[name]!.shape]),
  ]);
  parameters = Object.fromEntries(await Promise.all(entries));
  runner = new BackboneRunner(backbone);
});

afterAll(async () => {
  await runner.dispose();
  rmSync(folder, { recursive: true });
});

const SITES = ['embedding', 'layer:2', 'final'] as const;

/** The same computation, eagerly on tfjs' CPU backend and without padding. */
function eager(inputs: PreparedInputsV1, p: Parameters = parameters) {
  const rows = inputs.views.map((view) => {
    const pixels = tf.tensor(view.pixelValues, [...view.pixelShape]);
    const { features } = backbone.encodeView(p, pixels, view.layout);
    return backbone.projectView(p, features, view.layout);
  });
  const { decoder } = backbone;
  const inputIds = tf.tensor1d(inputs.inputIds, 'int32');
  const spliceIndex = tf.tensor1d(inputs.spliceIndex, 'int32');
  const visual = rows.length === 0 ? {} : { spliceIndex, visualRows: tf.concat(rows, 0) };
  const embeddings = embedSequence(decoder, p, { inputIds, ...visual });
  const positions = tf.tensor2d(inputs.positions, [1, inputs.inputIds.length], 'int32');
  const request = { taps: SITES, last: true };
  const { hidden, last } = decodeSequence(decoder, p, { embeddings, positions }, request);
  return { hidden, logits: decoder.logits(p, last!) };
}

function expectClose(actual: Float32Array, expected: Tensor) {
  const values = expected.dataSync();
  expect(actual.length).toBe(values.length);
  let worst = 0;
  for (let i = 0; i < actual.length; i++) {
    worst = Math.max(worst, Math.abs(actual[i]! - values[i]!) / (1 + Math.abs(values[i]!)));
  }
  expect(worst).toBeLessThan(1e-5);
}

const withViews = layOut(
  [1, 2, 3],
  [
    [2, 3],
    [4, 2],
  ],
  [7, 8, 9, 10],
);
const textOnly = layOut([5, 6, 7], [], [8]);

describe('forward', () => {
  it.each([
    ['two views of different grids', withViews],
    ['text alone', textOnly],
    ['more tokens than one bucket', layOut([1], [[6, 7]], [2])],
  ])('equals the unpadded computation: %s', async (_, inputs) => {
    const expected = eager(inputs);
    const sites = SITES.toReversed();
    const { hidden, logits } = await runner.forward(inputs, { sites, logits: true });
    for (const site of SITES) expectClose(hidden[site]!, expected.hidden[site]!);
    expectClose(logits!, expected.logits);
  });

  it.each(['layer:4', 'layer:5', 'vision:2'] as const)(
    'refuses %s, which is not there',
    async (site) => {
      await expect(runner.forward(textOnly, { sites: [site] })).rejects.toMatchObject({
        code: 'TAP_UNKNOWN',
      });
    },
  );

  it('gives the states of vision encoder and projector by view', async () => {
    const sites = ['vision:0', 'vision:1', 'projector'] as const;
    const { views, hidden, logits } = await runner.forward(withViews, { sites });
    expect([hidden, logits]).toEqual([{}, undefined]);
    for (const [i, view] of withViews.views.entries()) {
      const pixels = tf.tensor(view.pixelValues, [...view.pixelShape]);
      const encoded = backbone.encodeView(parameters, pixels, view.layout, [0, 1]);
      const rows = backbone.projectView(parameters, encoded.features, view.layout);
      const expected = [encoded.states[0]!, encoded.states[1]!, rows];
      for (const [k, site] of sites.entries()) {
        expect(views[site]![i]!.shape).toEqual(expected[k]!.shape);
        expectClose(views[site]![i]!.data, expected[k]!);
      }
    }
  });

  it('takes given parameters instead of those of the files', async () => {
    const name = 'model.layers.1.mlp.down_proj.weight';
    const { shape } = backbone.weights[name]!;
    const value = tf.randomNormal([...shape], 0, 1, 'float32', 3);
    const data = Float32Array.from(value.dataSync());
    const given = { [name]: createTensor({ shape, dtype: 'float32' }, data) };
    const other = new BackboneRunner(backbone, { parameters: given });
    const { hidden } = await other.forward(withViews, { sites: ['final'] });
    const changed = eager(withViews, { ...parameters, [name]: value });
    expectClose(hidden.final!, changed.hidden.final!);
    await other.dispose();
  });
});

describe('weights in 16 bits', () => {
  it('give the same from their file and from a float32 copy', async () => {
    const other = mkdtempSync(join(tmpdir(), 'spatialsv-runner-'));
    const narrow = await makeTestBackbone(other, { storedAs: 'BF16' });
    const results = [];
    for (const weights of ['mapped', 'float32'] as const) {
      const runner16 = new BackboneRunner(narrow, { weights });
      expect(runner16.weights).toMatchObject({ policy: weights, reason: 'as asked for' });
      await runner16.load();
      const { logits } = await runner16.forward(withViews, { sites: [], logits: true });
      const { ids } = await runner16.generate(withViews, { maxNewTokens: 8 });
      results.push({ logits, ids });
      await runner16.dispose();
    }
    expect(results[1]).toEqual(results[0]);
    expect(new BackboneRunner(narrow).weights.copiedBytes).toBeGreaterThan(0);
    // Stored as float32 there is nothing to copy.
    expect(runner.weights).toMatchObject({ policy: 'mapped', copiedBytes: 0 });
    rmSync(other, { recursive: true });
  });
});

describe('gridRows', () => {
  it('leaves out what lies between the cells of a grid', () => {
    // Two rows of two cells, a newline token behind each.
    const grid = {
      ...layOut([], [[2, 2]], []).grids[0]!,
      tokenIndex: Int32Array.of(4, 5, 7, 8),
      extraIndex: Int32Array.of(6, 9),
    };
    const rows = { data: Float32Array.of(0, 1, 2, 3, 4, 5), shape: [6, 1] };
    expect(gridRows(rows, grid)).toEqual({ data: Float32Array.of(0, 1, 3, 4), shape: [4, 1] });
  });
});

/** Greedy decoding without a cache: the whole sequence again for every token. */
function greedy(inputs: PreparedInputsV1, count: number): number[] {
  const ids: number[] = [];
  while (ids.length < count) {
    const all = [...inputs.inputIds, ...ids];
    const longer = {
      ...inputs,
      inputIds: Int32Array.from(all),
      positions: Int32Array.from(all, (_, i) => i),
      spliceIndex: Int32Array.from(all, (_, i) => {
        const row = inputs.spliceIndex[i] ?? i;
        return i < inputs.inputIds.length && row >= inputs.inputIds.length ? row + ids.length : row;
      }),
    };
    const last = tf.slice(eager(longer).logits, [all.length - 1, 0], [1, -1]);
    const id = tf.argMax(last, 1).dataSync()[0]!;
    if (id === END) break;
    ids.push(id);
  }
  return ids;
}

describe('generate', () => {
  it.each([
    ['with views', withViews],
    ['text alone', textOnly],
  ])('gives the tokens of decoding without a cache: %s', async (_, inputs) => {
    const expected = greedy(inputs, 16);
    const pieces: string[] = [];
    const result = await runner.generate(inputs, {
      maxNewTokens: 16,
      onText: (text) => pieces.push(text),
    });
    expect(result.ids).toEqual(expected);
    expect(pieces.join('')).toBe(result.text);
    expect(result.stoppedBy).toBe(expected.length < 16 ? 'end-of-turn' : 'length');
  });

  describe('of several questions about the same views', () => {
    const asked = [[7, 8], [9], Array.from({ length: 40 }, (_, i) => 1 + (i % 9))];
    const prompts = asked.map((question) =>
      layOut(
        [1, 2, 3],
        [
          [2, 3],
          [4, 2],
        ],
        question,
      ),
    );
    const options = { maxNewTokens: 40 };

    it('gives the tokens of each alone, and reads the views once', async () => {
      const prefill = jest.spyOn(CompiledDecoder.prototype, 'prefill');
      const expected = prompts.map((inputs) => greedy(inputs, 12));
      const sharing = new BackboneRunner(backbone);
      for (const [i, inputs] of prompts.entries()) {
        const { ids } = await sharing.generate(inputs, options);
        expect(ids.slice(0, 12)).toEqual(expected[i]);
      }
      expect(prefill).toHaveBeenCalledTimes(1);
      prefill.mockClear();
      const alone = new BackboneRunner(backbone, { reuse: false });
      for (const inputs of prompts) await alone.generate(inputs, { maxNewTokens: 1 });
      expect(prefill).toHaveBeenCalledTimes(3);
      prefill.mockRestore();
      await sharing.dispose();
      await alone.dispose();
    });

    it('starts anew for other pixels or another text before them', async () => {
      const prefill = jest.spyOn(CompiledDecoder.prototype, 'prefill');
      const sharing = new BackboneRunner(backbone);
      const [first] = prompts as [PreparedInputsV1];
      const [view, ...rest] = first.views;
      const pixels = { ...view!, pixelValues: view!.pixelValues.map((value) => -value) };
      const others = [
        first,
        { ...first, views: [pixels, ...rest] },
        layOut(
          [1, 2, 4],
          [
            [2, 3],
            [4, 2],
          ],
          [7, 8],
        ),
        layOut(
          [1, 2, 4],
          [
            [2, 3],
            [4, 2],
          ],
          Array(200).fill(7),
        ),
        textOnly,
      ];
      for (const inputs of others) {
        const { ids } = await sharing.generate(inputs, { maxNewTokens: 6 });
        expect(ids).toEqual(greedy(inputs, 6));
      }
      // The long question is about the views before it.
      expect(prefill).toHaveBeenCalledTimes(others.length - 1);
      prefill.mockRestore();
      await sharing.dispose();
    });

    it('at once, gives the same', async () => {
      const sharing = new BackboneRunner(backbone);
      await sharing.generate(prompts[0]!, options);
      const answers = await Promise.all(
        prompts.map((inputs) => sharing.generate(inputs, { maxNewTokens: 6 })),
      );
      expect(answers.map(({ ids }) => ids)).toEqual(prompts.map((inputs) => greedy(inputs, 6)));
      await sharing.dispose();
    });

    it('leaves nothing behind', async () => {
      const before = liveHandles();
      const sharing = new BackboneRunner(backbone);
      for (const inputs of prompts) await sharing.generate(inputs, { maxNewTokens: 2 });
      await sharing.dispose();
      expect(liveHandles()).toBe(before);
    });
  });

  it('stops where it is told to', async () => {
    const aborted = AbortSignal.abort();
    const none = await runner.generate(textOnly, { signal: aborted });
    expect(none).toMatchObject({ ids: [], stoppedBy: 'signal' });
    const one = await runner.generate(textOnly, { maxNewTokens: 1 });
    expect(one.ids).toHaveLength(1);
  });
});

describe('predictGeometry', () => {
  it('equals the heads on the gathered cells, also over different grids', async () => {
    const heads = await dptGeometryHead.configure({ preset: 'tiny', outputScale: 2 });
    const values = heads.initialise([16, 16, 16, 16], 3);
    const taps = [0, 2, 2, 4];
    const maps = await runner.predictGeometry(withViews, {
      taps,
      heads,
      featureChannels: 0,
      parameters: values,
    });
    expect([maps.views, maps.height, maps.width]).toEqual([2, 4, 6]);
    const p = Object.fromEntries(
      Object.entries(values).map(([name, { data, shape }]) => [name, tf.tensor(data, [...shape])]),
    );
    const { hidden } = eager(withViews);
    for (const [view, { h, w, tokenIndex }] of withViews.grids.entries()) {
      const cells = [SITES[0], SITES[1], SITES[1], SITES[2]].map((layer) =>
        tf.reshape(tf.gather(hidden[layer]!, tf.tensor1d(tokenIndex, 'int32')), [1, h, w, 16]),
      );
      const expected = heads.doPredict(p, cells, { height: 4, width: 6 });
      expectClose(maps.depth!.slice(view * 24, (view + 1) * 24), expected.depth!);
      expectClose(maps.rays!.slice(view * 144, (view + 1) * 144), expected.rays!);
    }
  });

  it('needs a view', async () => {
    const heads = await dptGeometryHead.configure({});
    const checkpoint = { taps: [1, 2, 3, 4], heads, featureChannels: 0 };
    const none = runner.predictGeometry(textOnly, { ...checkpoint, parameters: {} });
    await expect(none).rejects.toMatchObject({ code: 'DATA_INVALID' });
  });
});
