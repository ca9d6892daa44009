import { rm } from 'node:fs/promises';
import { type CellLayout, decodeSequence, ops, type Tensor, tf } from '@spatialsv/core/kit';
import type { LayerCacheV1, Parameters } from '@spatialsv/core/spec';
import { expectAllclose } from '@spatialsv/core/testing';
import {
  type GoldenCase,
  goldenInputShapes,
  goldenInputs,
  goldenProgram,
  openGoldenCase,
} from './__fixtures__/golden.js';
import { parseQwen25VlConfig } from './qwen25vl-config.js';

/** Relative to the largest magnitude of the tensor. */
const expectStates = (actual: Tensor | Float32Array, expected: Float32Array, tolerance = 1e-4) => {
  const values = actual instanceof Float32Array ? actual : actual.dataSync<'float32'>();
  const largest = expected.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  expectAllclose(values, expected, { rtol: 0, atol: tolerance * largest });
};

const tensorsOf = (opened: GoldenCase) => {
  const shapes = goldenInputShapes(opened.inputs);
  const inputs = Object.entries(goldenInputs(opened.inputs)).map(([name, data]) => {
    const dtype = data instanceof Int32Array ? 'int32' : 'float32';
    return [name, tf.tensor(data, [...shapes[name]!], dtype)] as const;
  });
  const weights = Object.entries(opened.weights).map(
    ([name, { data, shape }]) => [name, tf.tensor(data, [...shape]) as Tensor] as const,
  );
  return { inputs: Object.fromEntries(inputs), parameters: Object.fromEntries(weights) };
};

/** Row-major number of each patch in the order of transformers: cell by cell, row by row inside a cell. */
const cellByCell = ({ rows, columns }: CellLayout, merge: number): number[] => {
  const order: number[] = [];
  for (let top = 0; top < rows; top += merge)
    for (let left = 0; left < columns; left += merge)
      for (let row = top; row < top + merge; row++)
        for (let column = left; column < left + merge; column++) order.push(row * columns + column);
  return order;
};

const run = (opened: GoldenCase, parameters: Parameters, inputs: Record<string, Tensor>) =>
  goldenProgram(opened.model, opened.inputs, parameters, inputs, ops.crossEntropySum);

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe.each(['tied', 'untied'] as const)('Qwen2.5-VL beside transformers, %s head', (name) => {
  let opened: GoldenCase;
  let tensors: ReturnType<typeof tensorsOf>;

  beforeAll(async () => {
    opened = await openGoldenCase(name);
    tensors = tensorsOf(opened);
  });

  afterAll(() => rm(opened.folder, { recursive: true }));

  if (name === 'tied') {
    it('has equal ids, labels, positions and grids', () => {
      const { golden, inputs } = opened;
      expect([...inputs.inputIds]).toEqual([...golden.int32('input_ids')]);
      expect([...inputs.labels]).toEqual([...golden.int32('labels')]);
      expect([...inputs.positions]).toEqual([...golden.int32('positions')]);
      const grids = inputs.views.flatMap(({ layout }) => {
        const { rows, columns } = layout as CellLayout;
        return [1, rows, columns];
      });
      expect(grids).toEqual([...golden.int32('grid_thw')]);
    });

    it('has the states of the patch embedding and of every vision block', () => {
      const config = parseQwen25VlConfig(opened.config);
      const blocks = Array.from({ length: config.vision.tower.depth + 1 }, (_, index) => index);
      const views = opened.inputs.views.map(({ layout }, i) => {
        const pixels = tensors.inputs[`pixels${i}`]!;
        const { states } = opened.model.encodeView(tensors.parameters, pixels, layout, blocks);
        const order = cellByCell(layout as CellLayout, config.vision.mergeSize);
        return blocks.map((index) => tf.gather(states[index]!, order));
      });
      for (const index of blocks) {
        const rows = tf.concat(
          views.map((view) => view[index]!),
          0,
        );
        expectStates(rows, opened.golden.float32(`vision.${index}`));
      }
    });

    it('has every hidden state of projector and decoder', () => {
      const { projector, hidden, last } = run(opened, tensors.parameters, tensors.inputs);
      expectStates(projector, opened.golden.float32('projector'));
      for (const [layer, state] of Object.entries(hidden)) {
        expectStates(state, opened.golden.float32(`hidden.${layer}`));
      }
      expectStates(last, opened.golden.float32('hidden.4'));
    });
  }

  it('has the logits and the text loss', () => {
    const { logits, loss } = run(opened, tensors.parameters, tensors.inputs);
    expectStates(logits.dataSync<'float32'>().slice(-8 * 320), opened.golden.float32('logits'));
    expectStates(loss, opened.golden.float32('loss'));
  });

  it('continues the prompt with a cache as transformers does', () => {
    const { model, golden, inputs, promptLength } = opened;
    const { parameters } = tensors;
    const capacity = promptLength + 5;
    const { layers, kvHeads, headDim, vocabularySize } = model.config;
    const prompt = run(opened, parameters, tensors.inputs);
    // Causal: keys and values of the prompt do not depend on the answer behind it.
    const fill = (x: Tensor) => {
      const kept = tf.slice(x, [0, 0, 0], [kvHeads, promptLength, headDim]);
      return tf.pad(kept as tf.Tensor3D, [
        [0, 0],
        [0, capacity - promptLength],
        [0, 0],
      ]) as Tensor;
    };
    let cache: readonly LayerCacheV1[] = prompt.cache.map(({ keys, values }) => ({
      keys: fill(keys),
      values: fill(values),
    }));
    expect(cache).toHaveLength(layers);
    const expected = golden.float32('greedy_logits');
    const ids = golden.int32('greedy_ids');
    const first = tf.slice(prompt.logits, [promptLength - 1, 0], [1, vocabularySize]);
    expectStates(first, expected.slice(0, vocabularySize));
    const delta = inputs.nextPosition - inputs.inputIds.length;
    for (let step = 1; step < 3; step++) {
      const slot = promptLength + step - 1;
      const embeddings = model.decoder.embed(parameters, tf.tensor1d([ids[step - 1]!], 'int32'));
      const positions = tf.fill([3, 1], slot + delta, 'int32');
      const decoderInputs = { embeddings, positions, cache, cacheSlot: tf.scalar(slot, 'int32') };
      const request = { taps: [], last: true };
      const out = decodeSequence(model.decoder, parameters, decoderInputs, request);
      cache = out.cache;
      const logits = model.decoder.logits(parameters, out.last!);
      expectStates(logits, expected.slice(step * vocabularySize, (step + 1) * vocabularySize));
      expect(tf.argMax(logits, 1).dataSync()[0]).toBe(ids[step]);
    }
  });
});
