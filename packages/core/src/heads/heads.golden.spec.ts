import path from 'node:path';
import { type Tensor, tf } from '@spatialsv/engine';
import { distillationLoss } from '../losses/distillation-loss.js';
import { expectAllclose, filled, type Golden, readGolden } from '../testing/index.js';
import { headParameterShapes } from './head-parameters.js';
import { parseHeadsConfig } from './heads-config.js';
import { predictGeometry, projectForDistillation } from './predict-geometry.js';

const FOLDER = path.join(__dirname, '__golden__');
const VALUES = { rtol: 1e-5, atol: 1e-5 };
/** Relative to the gradient itself, and to the largest of its tensor where sums cancel. */
const gradientTolerance = (expected: Float32Array) => ({
  rtol: 1e-4,
  atol: 1e-5 * expected.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0),
});

interface HeadsCase {
  readonly config: Record<string, unknown>;
  readonly channels: readonly number[];
  readonly views: number;
  readonly grid: readonly [number, number];
  readonly size: readonly [number, number];
  readonly parameters: Record<string, number[]>;
}

type Tensors = Record<string, Tensor>;

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe.each(['native', 'resized', 'reduced'])('heads equal PyTorch: %s', (name) => {
  let golden: Golden<HeadsCase>;
  let info: HeadsCase;
  let inputs: Tensors;

  beforeAll(async () => {
    golden = await readGolden(path.join(FOLDER, name));
    info = golden.info;
    inputs = mapNames(Object.keys(info.parameters), (key) => fill(key, info.parameters[key]!));
    info.channels.forEach((channels, i) => {
      const shape = [info.views, ...info.grid, channels];
      inputs[`tap.${i}`] = tf.mul(fill(`tap.${i}`, shape), 4);
    });
  });

  const predict = (given: Tensors) =>
    predictGeometry(
      parseHeadsConfig(info.config),
      given,
      info.channels.map((_, i) => given[`tap.${i}`]!),
      { height: info.size[0], width: info.size[1] },
    ) as Tensors;

  it('lists the parameters of the torch modules', () => {
    const shapes = headParameterShapes(parseHeadsConfig(info.config), info.channels);
    expect(shapes).toEqual(info.parameters);
  });

  it('predicts the same maps', async () => {
    const outputs = predict(inputs);
    const expected = golden.names.filter((key) => !key.startsWith('gradient.'));
    expect(Object.keys(outputs).sort()).toEqual([...expected].sort());
    for (const key of expected) {
      expect(outputs[key]!.shape).toEqual(golden.shape(key));
      expectAllclose(await outputs[key]!.data(), golden.float32(key), VALUES);
    }
  });

  it('has the same gradients by parameters and taps', async () => {
    const names = golden.names.flatMap((key) => key.match(/^gradient\.(.*)$/)?.slice(1) ?? []);
    const gradients = gradientsOf(inputs, names, (given) => {
      const outputs = predict(given);
      const terms = Object.entries(outputs).map(([key, value]) =>
        tf.mean(tf.mul(value, fill(`outputs.${key}`, value.shape))),
      );
      return tf.addN(terms);
    });
    for (const key of names) {
      const expected = golden.float32(`gradient.${key}`);
      expectAllclose(await gradients[key]!.data(), expected, gradientTolerance(expected));
    }
  });
});

describe('distillation projector', () => {
  it('equals PyTorch, with its cosine loss and gradients', async () => {
    const golden = await readGolden(path.join(FOLDER, 'distillation'));
    const { rows, hiddenSize, featureChannels } = golden.info as Record<string, number>;
    const weight1 = 'spatial.distill.fc1.weight';
    const inputs: Tensors = {
      hidden: tf.mul(fill('hidden', [rows!, hiddenSize!]), 4),
      [weight1]: fill(weight1, [2 * hiddenSize!, hiddenSize!]),
    };
    const rest = {
      'spatial.distill.fc1.bias': [2 * hiddenSize!],
      'spatial.distill.fc2.weight': [featureChannels!, 2 * hiddenSize!],
      'spatial.distill.fc2.bias': [featureChannels!],
    };
    for (const [name, shape] of Object.entries(rest)) inputs[name] = fill(name, shape);
    const loss = (given: Tensors) =>
      distillationLoss(
        projectForDistillation(given, given['hidden']!),
        fill('features', [rows!, featureChannels!]),
      );
    const projected = projectForDistillation(inputs, inputs['hidden']!);
    expectAllclose(await projected.data(), golden.float32('projected'), VALUES);
    expectAllclose(await loss(inputs).data(), golden.float32('loss'), VALUES);
    const gradients = gradientsOf(inputs, ['hidden', weight1], loss);
    for (const [name, gradient] of Object.entries(gradients)) {
      const expected = golden.float32(`gradient.${name}`);
      expectAllclose(await gradient.data(), expected, gradientTolerance(expected));
    }
  });
});

const mapNames = (names: readonly string[], make: (name: string) => Tensor): Tensors =>
  Object.fromEntries(names.map((name) => [name, make(name)]));

function gradientsOf(
  inputs: Tensors,
  names: readonly string[],
  loss: (given: Tensors) => Tensor,
): Tensors {
  const f = (...values: Tensor[]) =>
    loss({ ...inputs, ...Object.fromEntries(names.map((name, i) => [name, values[i]!])) });
  const gradients = tf.grads(f)(names.map((name) => inputs[name]!));
  return Object.fromEntries(names.map((name, i) => [name, gradients[i]!]));
}

/** The tensor that reference/heads/fill.py makes of a name. */
const fill = (name: string, shape: readonly number[]): Tensor =>
  tf.tensor(filled(name, shape), [...shape]);
