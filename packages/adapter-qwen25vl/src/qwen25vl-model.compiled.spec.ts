import { rm } from 'node:fs/promises';
import path from 'node:path';
import {
  type CompiledProgram,
  compile,
  createTensor,
  type DeviceTensor,
  decodeSequence,
  float32,
  int32,
  ops,
  type Tensor,
} from '@spatialsv/core/kit';
import type { LayerCacheV1, Parameters } from '@spatialsv/core/spec';
import { expectAllclose, readGolden, sampledValues } from '@spatialsv/core/testing';
import {
  GOLDEN,
  type GoldenCase,
  goldenInputShapes,
  goldenInputs,
  goldenProgram,
  openGoldenCase,
} from './__fixtures__/golden.js';

type Tensors = Record<string, Tensor>;

/** Relative to the largest magnitude of the tensor. */
const expectStates = (actual: Float32Array, expected: Float32Array, tolerance = 1e-4) => {
  const largest = expected.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  expectAllclose(actual, expected, { rtol: 0, atol: tolerance * largest });
};

const inputSpecs = (opened: GoldenCase) => {
  const data = goldenInputs(opened.inputs);
  const specs = Object.entries(goldenInputShapes(opened.inputs)).map(([name, shape]) => {
    const isInteger = data[name] instanceof Int32Array;
    return [name, isInteger ? int32(...shape) : float32(...shape)] as const;
  });
  return Object.fromEntries(specs);
};

const read = async (tensor: DeviceTensor | undefined) => (await tensor!.read()) as Float32Array;

describe.each(['tied', 'untied'] as const)('Qwen2.5-VL compiled, %s head', (name) => {
  let opened: GoldenCase;
  let program: CompiledProgram | undefined;

  beforeAll(async () => {
    opened = await openGoldenCase(name);
  });

  afterEach(async () => {
    await program?.dispose();
  });

  afterAll(() => rm(opened.folder, { recursive: true }));

  const golden = (parameters: Parameters, inputs: Tensors) =>
    goldenProgram(opened.model, opened.inputs, parameters, inputs, ops.crossEntropySum);

  it('has the states of transformers, with weights mapped from their file', async () => {
    const specs = { parameters: opened.model.weights, inputs: inputSpecs(opened) };
    program = await compile(
      ({ parameters, inputs }: { parameters: Parameters; inputs: Tensors }) => {
        const { hidden, projector, loss, logits } = golden(parameters, inputs);
        const states = Object.entries(hidden).map(([layer, state]) => [`hidden.${layer}`, state]);
        return { ...Object.fromEntries(states), projector, loss, logits };
      },
      specs,
    );
    const inputs = { parameters: {}, inputs: goldenInputs(opened.inputs) };
    const out = (await program.run(inputs)) as Record<string, DeviceTensor>;
    const logits = (await read(out['logits'])).slice(-8 * 320);
    expectStates(logits, opened.golden.float32('logits'));
    expectStates(await read(out['loss']), opened.golden.float32('loss'));
    const stored = opened.golden.names.filter((key) => /^(hidden|projector)/.test(key));
    expect(stored).toHaveLength(name === 'tied' ? 6 : 0);
    for (const key of stored) expectStates(await read(out[key]), opened.golden.float32(key));
  });

  it('has the gradients of transformers', async () => {
    const names = opened.golden.names
      .filter((key) => key.startsWith('gradient.'))
      .map((key) => key.slice('gradient.'.length));
    expect(names.length).toBeGreaterThan(25);
    const { weights: mapped } = opened.model;
    const frozen = Object.entries(mapped).filter(([key]) => !names.includes(key));
    const specs = {
      trained: Object.fromEntries(names.map((key) => [key, float32(...mapped[key]!.shape)])),
      frozen: Object.fromEntries(frozen),
      inputs: inputSpecs(opened),
    };
    type Inputs = { trained: Parameters; frozen: Parameters; inputs: Tensors };
    program = await compile(
      ({ trained, frozen: fixed, inputs }: Inputs) => ({
        loss: golden({ ...fixed, ...trained }, inputs).loss,
      }),
      specs,
      { gradients: ['trained'] },
    );
    const out = (await program.run({
      trained: Object.fromEntries(names.map((key) => [key, opened.weights[key]!.data])),
      frozen: {},
      inputs: goldenInputs(opened.inputs),
    })) as { gradients: { trained: Record<string, DeviceTensor> } };
    const { samples } = opened.golden.info as { samples: number };
    for (const key of names) {
      const gradient = await read(out.gradients.trained[key]);
      const expected = opened.golden.float32(`gradient.${key}`);
      expectStates(sampledValues(gradient, samples), expected, 1e-3);
      const norm = Float32Array.of(Math.hypot(...gradient));
      expectStates(norm, opened.golden.float32(`gradient_norm.${key}`), 1e-3);
    }
  });

  it('generates as transformers does, one token at a time into a resident cache', async () => {
    const { model, inputs, promptLength, golden: vectors } = opened;
    const { layers, kvHeads, headDim, hiddenSize, vocabularySize } = model.config;
    const capacity = promptLength + 3;
    const layerNames = Array.from({ length: layers }, (_, layer) => String(layer));
    const spec = float32(kvHeads, capacity, headDim);
    const cacheSpec = Object.fromEntries(
      layerNames.map((key) => [key, { keys: spec, values: spec }]),
    );
    const step = { row: float32(1, hiddenSize), position: int32(3, 1), slot: int32() };
    type Cache = Record<string, LayerCacheV1>;
    type Inputs = { parameters: Parameters; cache: Cache; step: Tensors };
    program = await compile(
      ({ parameters, cache, step: now }: Inputs) => {
        const at = {
          embeddings: now['row']!,
          positions: now['position']!,
          cacheSlot: now['slot']!,
          cache: layerNames.map((key) => cache[key]!),
        };
        const out = decodeSequence(model.decoder, parameters, at, { taps: [], last: true });
        const next = out.cache.map(({ keys, values }, layer) => [String(layer), { keys, values }]);
        const logits = model.decoder.logits(parameters, out.last!);
        return { logits, cache: Object.fromEntries(next) as Record<string, Tensors> };
      },
      { parameters: model.weights, cache: cacheSpec, step },
      { state: ['cache'] },
    );
    const empty = () => ({ keys: createTensor(spec), values: createTensor(spec) });
    const cache = Object.fromEntries(layerNames.map((key) => [key, empty()]));
    const ids = vectors.int32('greedy_ids');
    const expected = vectors.float32('greedy_logits');
    const prompt = (await readGolden(path.join(GOLDEN, 'tied'))).float32('hidden.0');
    const table = opened.weights['model.embed_tokens.weight']!.data;
    const tokens = inputs.inputIds.length;
    for (let slot = 0; slot < promptLength + 2; slot++) {
      const generated = slot - promptLength;
      const [source, row] = generated < 0 ? [prompt, slot] : [table, ids[generated]!];
      const isPrompt = generated < 0;
      const position = [0, 1, 2].map((axis) =>
        isPrompt ? inputs.positions[axis * tokens + slot]! : slot + inputs.nextPosition - tokens,
      );
      const now = {
        row: source.slice(row * hiddenSize, (row + 1) * hiddenSize),
        position: Int32Array.from(position),
        slot,
      };
      const out = await program.run({ parameters: {}, cache, step: now });
      const logits = await read((out as Record<string, DeviceTensor>)['logits']);
      if (generated < -1) continue;
      const from = (generated + 1) * vocabularySize;
      expectStates(logits, expected.slice(from, from + vocabularySize));
      expect(logits.indexOf(Math.max(...logits))).toBe(ids[generated + 1]);
    }
  });
});
