import { ops, tf } from '@spatialsv/engine';
import { SpatialError } from '../errors.js';
import { dptGeometryHead } from '../heads/index.js';
import { createRandom } from '../random.js';
import type { GeometryHeadModelV1, GeometryHeadV1 } from '../spec.js';
import { describeGeometryHead } from './describe-geometry-head.js';
import type { TestRunner } from './test-runner.js';

/** The smallest head that conforms: depth as a linear function of the last tap, enlarged by repetition. */
const configure = (options: unknown): GeometryHeadModelV1 => {
  const { scale = 2, ...unknown } = options as { readonly scale?: number };
  if (Object.keys(unknown).length > 0)
    throw new SpatialError({ code: 'CONFIG_INVALID', message: 'unknown key', hint: 'Remove it.' });
  return {
    headId: 'linear',
    options: { scale },
    tasks: ['depth'],
    tapCount: 2,
    outputSize: ({ h, w }) => ({ height: scale * h, width: scale * w }),
    initialise: (channels, seed) => {
      const width = channels.at(-1)!;
      const data = createRandom(seed).normals(2 * width, 0.1);
      return { 'spatial.linear.weight': { data, shape: [2, width] } };
    },
    doPredict: (parameters, taps, { height, width }) => {
      const cells = ops.linear(taps.at(-1)!, parameters['spatial.linear.weight']!);
      const maps = tf.image.resizeBilinear(cells as tf.Tensor4D, [height, width]);
      const [depth, logit] = tf.unstack(maps, 3);
      return { depth: tf.exp(depth!), depthConfidence: tf.add(tf.exp(logit!), 1) };
    },
  };
};

const linear: GeometryHeadV1 = {
  specificationVersion: 'v1',
  kind: 'geometry-head',
  id: 'linear',
  predicts: ['depth'],
  configure,
};

/** The linear head with parts of its model changed. */
const withModel = (
  change: (model: GeometryHeadModelV1) => Partial<GeometryHeadModelV1>,
): GeometryHeadV1 => ({
  ...linear,
  configure: (options) => {
    const model = configure(options);
    return { ...model, ...change(model) };
  },
});

const runCase = async (head: GeometryHeadV1, wanted: string): Promise<void> => {
  const cases = new Map<string, () => Promise<void>>();
  const runner: TestRunner = {
    describe: (_name, body) => body(),
    it: (name, body) => cases.set(name, body),
    afterAll: () => undefined,
  };
  describeGeometryHead(() => ({ head }), { runner });
  await cases.get(wanted)!();
};

describe('describeGeometryHead', () => {
  describeGeometryHead(() => ({
    head: dptGeometryHead,
    options: { preset: 'tiny', outputScale: 2, projectorChannels: 8, features: 8 },
  }));
  describeGeometryHead(async () => ({ head: linear }));

  it.each<[string, string, GeometryHeadV1]>([
    [
      'a task that nobody knows',
      'says what it is',
      { ...linear, predicts: ['normals' as 'depth'] },
    ],
    [
      'options that are lost',
      'takes its options back as they are stored',
      withModel(() => ({ options: { scale: undefined } })),
    ],
    [
      'another id in the model',
      'takes its options back as they are stored',
      withModel(() => ({ headId: 'other' })),
    ],
    [
      'options that are not checked',
      'refuses options that it does not know',
      { ...linear, configure: () => configure({}) },
    ],
    [
      'names of another part',
      'names its parameters and draws them from the seed',
      withModel(({ initialise }) => ({
        initialise: (channels, seed) => ({
          'spatial.distill.weight': initialise(channels, seed)['spatial.linear.weight']!,
        }),
      })),
    ],
    [
      'a seed that is ignored',
      'names its parameters and draws them from the seed',
      withModel(({ initialise }) => ({ initialise: (channels) => initialise(channels, 0) })),
    ],
    [
      'maps on their side',
      'gives the maps of its tasks at its own size',
      withModel(({ doPredict }) => ({
        doPredict: (parameters, taps, { height, width }) =>
          doPredict(parameters, taps, { height: width, width: height }),
      })),
    ],
    [
      'a size that is ignored',
      'gives maps of another size',
      withModel(({ doPredict }) => ({
        doPredict: (parameters, taps) => doPredict(parameters, taps, { height: 4, width: 6 }),
      })),
    ],
    [
      'a confidence below 1',
      'gives the maps of its tasks at its own size',
      withModel(({ doPredict }) => ({
        doPredict: (...given) => {
          const { depth, depthConfidence } = doPredict(...given);
          return { depth: depth!, depthConfidence: tf.sub(depthConfidence!, 1) };
        },
      })),
    ],
    [
      'parameters that do nothing',
      'has a gradient for every parameter',
      withModel(({ doPredict }) => ({
        doPredict: (parameters, ...given) => {
          const weight = tf.mul(parameters['spatial.linear.weight']!, 0);
          return doPredict({ 'spatial.linear.weight': weight }, ...given);
        },
      })),
    ],
  ])('finds %s', async (_name, expected, head) => {
    await expect(runCase(head, expected)).rejects.toThrow();
  });
});
