import { sizeOf } from '@spatialsv/engine';
import { SpatialError } from '../errors.js';
import { hashText } from '../hash-text.js';
import { layerShapes, normShapes, type Shapes, shapesBelow } from '../nn/index.js';
import { createRandom } from '../random.js';
import type { ParameterValues } from '../spec.js';
import { dptShapes } from './dpt-shapes.js';
import { type GeometryTask, type HeadsConfig, TASK_CHANNELS } from './heads-config.js';

const taskShapes = (config: HeadsConfig, task: GeometryTask): Shapes =>
  dptShapes({
    inputs: config.projectorChannels,
    stages: config.stageChannels,
    features: config.features,
    hidden: config.hiddenChannels,
    outputs: TASK_CHANNELS[task],
  });

function projectorShapes(config: HeadsConfig, index: number, inputs: number): Shapes {
  const name = `spatial.projectors.${index}`;
  const width = config.projectorChannels;
  return {
    ...(config.projectorNorm ? normShapes(`${name}.norm`, inputs, { kind: 'layer' }) : {}),
    ...layerShapes(`${name}.fc1`, [width, inputs]),
    ...layerShapes(`${name}.fc2`, [width, width]),
  };
}

/**
 * Names and shapes of the projectors and heads; none without tasks.
 * @param channelsPerTap channels of the four tapped layers, in tap order.
 * @throws SpatialError SHAPE_MISMATCH unless four widths are given, all equal when the projector is shared.
 */
export function headParameterShapes(
  config: HeadsConfig,
  channelsPerTap: readonly number[],
): Readonly<Record<string, readonly number[]>> {
  if (config.tasks.length === 0) return {};
  requireFourTaps(config, channelsPerTap);
  const widths = config.projectors === 'shared' ? channelsPerTap.slice(0, 1) : channelsPerTap;
  return Object.assign(
    {},
    ...widths.map((inputs, index) => projectorShapes(config, index, inputs)),
    ...config.tasks.map((task) => shapesBelow(`spatial.${task}`, taskShapes(config, task))),
  );
}

function requireFourTaps(config: HeadsConfig, channelsPerTap: readonly number[]): void {
  const equal = channelsPerTap.every((width) => width === channelsPerTap[0]);
  if (channelsPerTap.length === 4 && (equal || config.projectors === 'decoupled')) return;
  throw new SpatialError({
    code: 'SHAPE_MISMATCH',
    message:
      `heads: expected the channels of four taps${config.projectors === 'shared' ? ', all equal for a shared projector' : ''}, ` +
      `found [${channelsPerTap.join(', ')}]`,
    hint: 'Name four layers to tap; use decoupled projectors when their widths differ.',
  });
}

/** Names and shapes of the projector φ of equation 2: C → 2C → d_3D. */
export function distillationParameterShapes(
  hiddenSize: number,
  featureChannels: number,
): Readonly<Record<string, readonly number[]>> {
  return {
    ...layerShapes('spatial.distill.fc1', [2 * hiddenSize, hiddenSize]),
    ...layerShapes('spatial.distill.fc2', [featureChannels, 2 * hiddenSize]),
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
  return initialiseShapes(headParameterShapes(config, channelsPerTap), seed);
}

/** Fresh distillation projector, drawn as {@link initialiseHeads} does. */
export function initialiseDistillation(
  hiddenSize: number,
  featureChannels: number,
  seed: number,
): ParameterValues {
  return initialiseShapes(distillationParameterShapes(hiddenSize, featureChannels), seed);
}

/** Fresh values by name, drawn as {@link initialiseHeads} says. */
export function initialiseShapes(
  shapes: Readonly<Record<string, readonly number[]>>,
  seed: number,
): ParameterValues {
  const values: ParameterValues = {};
  for (const [name, shape] of Object.entries(shapes)) {
    values[name] = { data: initialValue(name, shape, shapes, seed), shape };
  }
  return values;
}

function initialValue(name: string, shape: readonly number[], shapes: Shapes, seed: number) {
  const data = new Float32Array(sizeOf(shape));
  if (name.includes('.norm.')) return data.fill(name.endsWith('.weight') ? 1 : 0);
  const weight = shapes[name.replace(/\.bias$/, '.weight')] ?? shape;
  const fanIn = sizeOf(weight.slice(1));
  const random = createRandom(hashText(name) + seed * 2 ** 32);
  const bound = 1 / Math.sqrt(fanIn);
  return data.map(() => random.uniform(-bound, bound));
}
