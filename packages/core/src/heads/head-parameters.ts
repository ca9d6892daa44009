import { SpatialError } from '../errors.js';
import { createRandom } from '../random.js';
import type { ParameterValues } from '../spec.js';
import { type GeometryTask, type HeadsConfig, TASK_CHANNELS } from './heads-config.js';

type Shapes = Record<string, readonly number[]>;

/** Names and shapes (linear [out, in], convolution [out, in, kh, kw], transposed [in, out, k, k]) of one linear layer. */
function linearShapes(name: string, inputs: number, outputs: number): Shapes {
  return { [`${name}.weight`]: [outputs, inputs], [`${name}.bias`]: [outputs] };
}

function convolutionShapes(name: string, inputs: number, outputs: number, kernel: number): Shapes {
  return { [`${name}.weight`]: [outputs, inputs, kernel, kernel], [`${name}.bias`]: [outputs] };
}

function transposedShapes(name: string, width: number, kernel: number): Shapes {
  return { [`${name}.weight`]: [width, width, kernel, kernel], [`${name}.bias`]: [width] };
}

function fusionShapes(name: string, features: number, units: readonly number[]): Shapes {
  const shapes = convolutionShapes(`${name}.out_conv`, features, features, 1);
  for (const unit of units) {
    for (const conv of ['conv1', 'conv2']) {
      Object.assign(
        shapes,
        convolutionShapes(`${name}.resConfUnit${unit}.${conv}`, features, features, 3),
      );
    }
  }
  return shapes;
}

/** Parameters of one DPT head, named as VGGT names them. */
function dptShapes(config: HeadsConfig, task: GeometryTask): Shapes {
  const { stageChannels, features, hiddenChannels } = config;
  const [first, second, , fourth] = stageChannels;
  const name = `spatial.${task}`;
  const shapes: Shapes = {};
  stageChannels.forEach((width, stage) => {
    Object.assign(
      shapes,
      convolutionShapes(`${name}.projects.${stage}`, config.projectorChannels, width, 1),
    );
    shapes[`${name}.scratch.layer${stage + 1}_rn.weight`] = [features, width, 3, 3];
  });
  return Object.assign(
    shapes,
    transposedShapes(`${name}.resize_layers.0`, first, 4),
    transposedShapes(`${name}.resize_layers.1`, second, 2),
    convolutionShapes(`${name}.resize_layers.3`, fourth, fourth, 3),
    ...[1, 2, 3].map((k) => fusionShapes(`${name}.scratch.refinenet${k}`, features, [1, 2])),
    fusionShapes(`${name}.scratch.refinenet4`, features, [2]),
    convolutionShapes(`${name}.scratch.output_conv1`, features, features / 2, 3),
    convolutionShapes(`${name}.scratch.output_conv2.0`, features / 2, hiddenChannels, 3),
    convolutionShapes(`${name}.scratch.output_conv2.2`, hiddenChannels, TASK_CHANNELS[task], 1),
  );
}

function projectorShapes(config: HeadsConfig, index: number, inputs: number): Shapes {
  const name = `spatial.projectors.${index}`;
  const width = config.projectorChannels;
  return {
    ...(config.projectorNorm
      ? { [`${name}.norm.weight`]: [inputs], [`${name}.norm.bias`]: [inputs] }
      : {}),
    ...linearShapes(`${name}.fc1`, inputs, width),
    ...linearShapes(`${name}.fc2`, width, width),
  };
}

/**
 * Names and shapes of the projectors and heads.
 * @param channelsPerTap channels of the four tapped layers, in tap order.
 * @throws SpatialError SHAPE_MISMATCH unless four widths are given, all equal when the projector is shared.
 */
export function headParameterShapes(
  config: HeadsConfig,
  channelsPerTap: readonly number[],
): Readonly<Record<string, readonly number[]>> {
  requireFourTaps(config, channelsPerTap);
  const widths = config.projectors === 'shared' ? channelsPerTap.slice(0, 1) : channelsPerTap;
  return Object.assign(
    {},
    ...widths.map((inputs, index) => projectorShapes(config, index, inputs)),
    ...config.tasks.map((task) => dptShapes(config, task)),
  );
}

function requireFourTaps(config: HeadsConfig, channelsPerTap: readonly number[]): void {
  const equal = channelsPerTap.every((width) => width === channelsPerTap[0]);
  if (channelsPerTap.length === 4 && (equal || config.projectors === 'decoupled')) return;
  throw new SpatialError({
    code: 'SHAPE_MISMATCH',
    message:
      `heads: expected the channels of four taps${config.projectors === 'shared' ? ', all equal for a shared projector' : ''}, ` +
      `got [${channelsPerTap.join(', ')}]`,
    hint: 'name four layers to tap; use decoupled projectors when their widths differ',
  });
}

/** Names and shapes of the projector φ of equation 2: C → 2C → d_3D. */
export function distillationParameterShapes(
  hiddenSize: number,
  featureChannels: number,
): Readonly<Record<string, readonly number[]>> {
  return {
    ...linearShapes('spatial.distill.fc1', hiddenSize, 2 * hiddenSize),
    ...linearShapes('spatial.distill.fc2', 2 * hiddenSize, featureChannels),
  };
}

/**
 * Fresh projectors and heads: weights and biases uniform in ±1/√fan_in (PyTorch's default), LayerNorm 1 and 0. Each
 * parameter draws from a stream of its own name, so adding a task does not change the others.
 * @param channelsPerTap channels of the four tapped layers.
 * @throws SpatialError SHAPE_MISMATCH as {@link headParameterShapes}.
 */
export function initialiseHeads(
  config: HeadsConfig,
  channelsPerTap: readonly number[],
  seed: number,
): ParameterValues {
  return initialise(headParameterShapes(config, channelsPerTap), seed);
}

/** Fresh distillation projector, drawn as {@link initialiseHeads} does. */
export function initialiseDistillation(
  hiddenSize: number,
  featureChannels: number,
  seed: number,
): ParameterValues {
  return initialise(distillationParameterShapes(hiddenSize, featureChannels), seed);
}

function initialise(shapes: Shapes, seed: number): ParameterValues {
  const values: ParameterValues = {};
  for (const [name, shape] of Object.entries(shapes)) {
    values[name] = { data: initialValue(name, shape, shapes, seed), shape };
  }
  return values;
}

function initialValue(name: string, shape: readonly number[], shapes: Shapes, seed: number) {
  const data = new Float32Array(shape.reduce((product, size) => product * size, 1));
  if (name.includes('.norm.')) return data.fill(name.endsWith('.weight') ? 1 : 0);
  const weight = shapes[name.replace(/\.bias$/, '.weight')] ?? shape;
  const fanIn = weight.slice(1).reduce((product, size) => product * size, 1);
  const random = createRandom(hashName(name) + seed * 2 ** 32);
  const bound = 1 / Math.sqrt(fanIn);
  return data.map(() => random.uniform(-bound, bound));
}

/** 32-bit FNV-1a of the UTF-8 bytes. */
function hashName(name: string): number {
  let hash = 2166136261;
  for (const byte of new TextEncoder().encode(name)) {
    hash = Math.imul(hash ^ byte, 16777619);
  }
  return hash >>> 0;
}
