import path from 'node:path';
import { type Tensor, tf } from '@spatialsv/engine';
import type { GeometryPrediction } from '../heads/predict-geometry.js';
import { expectAllclose, type Golden, readGolden } from '../testing/index.js';
import { type GeometryTargets, geometryLosses } from './geometry-losses.js';
import { lossConfigSchema } from './loss-config.js';

const FOLDER = path.join(__dirname, '__golden__');
const PREDICTIONS = [
  'depth',
  'depthConfidence',
  'rays',
  'rayConfidence',
  'points',
  'pointConfidence',
] as const;

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe.each(['even', 'odd', 'literal', 'plain', 'outliers'])(
  'losses equal PyTorch: %s',
  (name) => {
    let golden: Golden;
    let labels: GeometryTargets;
    let predictions: Tensor[];

    beforeAll(async () => {
      golden = await readGolden(path.join(FOLDER, name));
      const tensor = (key: string) => tf.tensor(golden.float32(key), [...golden.shape(key)]);
      labels = {
        depth: tensor('depthLabel'),
        mask: tensor('mask'),
        rays: tensor('raysLabel'),
        rayMask: tensor('rayMask'),
        points: tensor('pointsLabel'),
        pointMask: tensor('mask'),
      };
      predictions = PREDICTIONS.map(tensor);
    });

    const losses = (given: readonly Tensor[]) => {
      const prediction = Object.fromEntries(PREDICTIONS.map((key, i) => [key, given[i]!]));
      const config = lossConfigSchema.parse(golden.info['config']);
      return geometryLosses(config, prediction as GeometryPrediction, labels);
    };

    it('has the same values', async () => {
      const expected = golden.info['values'] as Record<string, number>;
      const found = losses(predictions) as Record<string, Tensor>;
      expect(Object.keys(found).sort()).toEqual(Object.keys(expected).sort());
      for (const [key, value] of Object.entries(expected)) {
        expectAllclose(await found[key]!.data(), [value], { rtol: 1e-5, atol: 1e-6 });
      }
    });

    it('has the same gradients by every prediction and confidence', async () => {
      const total = (...given: Tensor[]) => {
        const { lossDepth, lossRay, lossPoint } = losses(given);
        return tf.addN([lossDepth!, lossRay!, lossPoint!]);
      };
      const gradients = tf.grads(total)(predictions);
      for (const [i, key] of PREDICTIONS.entries()) {
        const expected = golden.float32(`gradient.${key}`);
        const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        expectAllclose(await gradients[i]!.data(), expected, { rtol: 1e-4, atol: 1e-5 * largest });
      }
    });
  },
);
