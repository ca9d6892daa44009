import {
  type CompiledProgram,
  compile,
  createTensor,
  type DeviceTensor,
  differentiate,
  float32,
  int32,
  type Tensor,
  tf,
} from '@spatialsv/engine';
import type { Parameters } from '../spec.js';
import {
  testDecoder,
  testPrompt,
  testShapes,
  testSizes,
  testValues,
} from './__fixtures__/test-decoder.js';
import { blockGradients } from './block-gradients.js';
import { decodeSequence } from './decode-sequence.js';
import { padSequence } from './sequence-layout.js';

const LENGTH = 12;
const TOKENS = testPrompt.inputIds.length;
const { hiddenSize } = testSizes;
const values = testValues();
const { positions } = padSequence(testPrompt, LENGTH);
const embeddings = Float32Array.from({ length: LENGTH * hiddenSize }, (_, i) => Math.sin(i));
const blockNames = testDecoder.layers.map(({ names }) => names);
const decoderNames = blockNames.flatMap((names) => Object.values(names));

const specsOf = (names: readonly string[]) =>
  Object.fromEntries(names.map((name) => [name, float32(...testShapes[name]!)]));
const dataOf = (names: readonly string[]) =>
  Object.fromEntries(names.map((name) => [name, values[name]!]));
const rows = float32(LENGTH, hiddenSize);

/** A loss of the real tokens alone; padding lies behind them. */
const lossOf = (parameters: Parameters, last: Tensor): Tensor => {
  const normed = testDecoder.finalNorm(parameters, last);
  const logits = testDecoder.logits(parameters, tf.slice(normed, [0, 0], [TOKENS, hiddenSize]));
  return tf.mean(tf.square(tf.tanh(logits)));
};

const head = ['model.norm.weight', 'lm_head.weight'];
const programs: CompiledProgram[] = [];
const made = async (program: Promise<CompiledProgram>) => {
  programs.push(await program);
  return programs.at(-1)!;
};

afterAll(() => Promise.all(programs.map((program) => program.dispose())));

type Named = Readonly<Record<string, DeviceTensor>>;
const read = async (tensor: DeviceTensor) => Float32Array.from(await tensor.read());

/** Gradients by every block parameter and by the embeddings, of the decoder as one graph. */
async function inOneGraph(): Promise<Record<string, Float32Array>> {
  type Inputs = { all: Parameters; x: Tensor; frozen: Parameters; positions: Tensor };
  const program = ({ all, x, frozen, positions: places }: Inputs) => {
    const { gradients } = differentiate(
      ({ x: at, ...trained }) => {
        const inputs = { embeddings: at!, positions: places };
        const parameters = { ...frozen, ...trained };
        const sites = { taps: ['layer:3'] as const, last: true };
        const { last } = decodeSequence(testDecoder, parameters, inputs, sites);
        const logits = testDecoder.logits(
          parameters,
          tf.slice(last!, [0, 0], [TOKENS, hiddenSize]),
        );
        return { loss: tf.mean(tf.square(tf.tanh(logits))) };
      },
      { ...all, x },
    );
    return { gradients };
  };
  const specs = { all: specsOf(decoderNames), frozen: specsOf(head), x: rows };
  const compiled = await made(compile(program, { ...specs, positions: int32(3, LENGTH) }));
  const all = dataOf(decoderNames);
  const out = await compiled.run({ all, frozen: dataOf(head), x: embeddings, positions });
  const { gradients } = out as { gradients: Named };
  const entries = Object.entries(gradients).map(async ([name, g]) => [name, await read(g)]);
  return Object.fromEntries(await Promise.all(entries));
}

/** The same, one block at a time: inputs of the blocks on the way up, gradients on the way down. */
async function layerByLayer(): Promise<Record<string, Float32Array>> {
  const names = Object.keys(blockNames[0]!);
  const specs = Object.fromEntries(
    names.map((name) => [name, float32(...testShapes[blockNames[0]![name]!]!)]),
  );
  type Inputs = { parameters: Parameters; x: Tensor; positions: Tensor };
  const forward = await made(
    compile(
      ({ parameters, x, positions: places }: Inputs) => ({
        y: testDecoder.block('block', parameters, x, { positions: places }).x,
      }),
      { parameters: specs, x: rows, positions: int32(3, LENGTH) },
    ),
  );
  const top = await made(
    compile(
      ({ parameters, x }: Inputs) => {
        const by = ({ x: at }: Record<string, Tensor>) => ({ loss: lossOf(parameters, at!) });
        return { dy: differentiate(by, { x }).gradients['x']! };
      },
      { parameters: specsOf(head), x: rows },
    ),
  );
  type GradientInputs = { trained: Parameters; x: Tensor; positions: Tensor; dy: Tensor };
  const backward = await made(
    compile(
      ({ trained, ...tensors }: GradientInputs) => {
        const parameters = { trained, frozen: {} };
        const { dx, gradients } = blockGradients(testDecoder, 'block', parameters, tensors);
        return { dy: dx, gradients };
      },
      { trained: specs, x: rows, positions: int32(3, LENGTH), dy: rows },
      { state: ['dy'] },
    ),
  );
  const parametersOf = (layer: number) =>
    Object.fromEntries(names.map((name) => [name, values[blockNames[layer]![name]!]!]));
  const inputs: DeviceTensor[] = [createTensor(rows, embeddings.slice())];
  for (let layer = 0; layer < testSizes.layers; layer++) {
    const given = { parameters: parametersOf(layer), x: inputs[layer]!, positions };
    inputs.push(((await forward.run(given)) as Named)['y']!);
  }
  const { dy } = (await top.run({ parameters: dataOf(head), x: inputs.pop()! })) as Named;
  const found: Record<string, Float32Array> = {};
  for (let layer = testSizes.layers - 1; layer >= 0; layer--) {
    const given = { trained: parametersOf(layer), x: inputs[layer]!, positions };
    const out = (await backward.run({ ...given, dy: dy! })) as { gradients: Named };
    for (const [name, gradient] of Object.entries(out.gradients))
      found[blockNames[layer]![name]!] = await read(gradient);
  }
  found['x'] = await read(dy!);
  return found;
}

describe('blockGradients', () => {
  it('composed layer by layer are the gradients of the whole decoder, padding included', async () => {
    const [expected, found] = [await inOneGraph(), await layerByLayer()];
    expect(Object.keys(found).sort()).toEqual(Object.keys(expected).sort());
    for (const [name, gradient] of Object.entries(expected)) {
      const scale = Math.max(...gradient.map(Math.abs));
      const worst = Math.max(...gradient.map((g, i) => Math.abs(g - found[name]![i]!)));
      expect(scale).toBeGreaterThan(0);
      expect(worst / scale).toBeLessThanOrEqual(1e-5);
    }
    const padding = found['x']!.subarray(TOKENS * hiddenSize);
    expect(padding.every((value) => value === 0)).toBe(true);
  });
});
