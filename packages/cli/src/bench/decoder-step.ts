import {
  createDecoder,
  createRandom,
  type DecoderConfig,
  decoderShapes,
  decodeSequence,
} from '@spatialsv/core';
import {
  differentiate,
  float32,
  int32,
  ops,
  type Program,
  type Tensor,
  tf,
} from '@spatialsv/engine';

/** A decoder training step as the bench runs it, here and in PyTorch (`reference/bench_step.py`). */
export interface StepSize {
  readonly name: string;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly heads: number;
  readonly layers: number;
  readonly vocabularySize: number;
  readonly tokens: number;
}

const LAYERS = 4;
const VOCABULARY = 8192;

const step = (hiddenSize: number, tokens: number): StepSize => ({
  name: `d${hiddenSize}`,
  hiddenSize,
  intermediateSize: 4 * hiddenSize,
  heads: hiddenSize / 64,
  layers: LAYERS,
  vocabularySize: VOCABULARY,
  tokens,
});

export const STEP_SIZES: readonly StepSize[] = [step(256, 256), step(512, 512), step(1024, 512)];

const NAMES = { model: 'model', head: 'lm_head.weight' };

export function decoderConfig(size: StepSize): DecoderConfig {
  return {
    hiddenSize: size.hiddenSize,
    layers: size.layers,
    heads: size.heads,
    kvHeads: size.heads,
    headDim: size.hiddenSize / size.heads,
    intermediateSize: size.intermediateSize,
    vocabularySize: size.vocabularySize,
    rmsNormEps: 1e-6,
    qkvBias: true,
    qkNorm: false,
    tieHead: false,
    rope: { theta: 10000 },
  };
}

export const parameterShapes = (size: StepSize): Record<string, readonly number[]> =>
  decoderShapes(decoderConfig(size), NAMES);

export function stepSpecs(size: StepSize) {
  const shapes = Object.entries(parameterShapes(size));
  return {
    parameters: Object.fromEntries(shapes.map(([name, shape]) => [name, float32(...shape)])),
    ids: int32(size.tokens),
    targets: int32(size.tokens),
  };
}

export interface StepTensors {
  readonly parameters: Record<string, Tensor>;
  readonly ids: Tensor;
  readonly targets: Tensor;
}

/** Mean next-token loss of one sequence, as a program. */
function stepLoss(size: StepSize): (inputs: StepTensors) => Tensor {
  const decoder = createDecoder(decoderConfig(size), NAMES);
  const positions = Int32Array.from({ length: size.tokens }, (_, i) => i);
  return ({ parameters, ids, targets }) => {
    const embeddings = decoder.embed(parameters, ids);
    const place = tf.tensor2d(positions, [1, size.tokens], 'int32');
    const request = { taps: [], last: true };
    const inputs = { embeddings, positions: place };
    const { last } = decodeSequence(decoder, parameters, inputs, request);
    const logits = decoder.logits(parameters, last!);
    const weights = tf.fill([size.tokens], 1 / size.tokens);
    return ops.crossEntropySum(logits, targets, weights);
  };
}

/** Forward and backward pass that add to the optimiser's accumulators, as training does. */
export function accumulatingProgram(size: StepSize): Program {
  const loss = stepLoss(size);
  return (inputs: StepInputs) => {
    const { outputs, gradients } = differentiate(
      (parameters) => ({ loss: loss({ ...inputs, parameters }) }),
      inputs.parameters,
    );
    const sums = Object.entries(inputs.accumulators).map(([name, sum]) => [
      name,
      tf.add(sum, gradients[name]!),
    ]);
    return { loss: outputs.loss, accumulators: Object.fromEntries(sums) };
  };
}

interface StepInputs {
  readonly parameters: Record<string, Tensor>;
  readonly accumulators: Record<string, Tensor>;
  readonly ids: Tensor;
  readonly targets: Tensor;
}

/** Seeded ids and targets. */
export function stepBatch(size: StepSize): { ids: Int32Array; targets: Int32Array } {
  const random = createRandom(7);
  const draw = () =>
    Int32Array.from({ length: size.tokens }, () => random.integer(size.vocabularySize));
  return { ids: draw(), targets: draw() };
}
