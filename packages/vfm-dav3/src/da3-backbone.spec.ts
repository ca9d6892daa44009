import { createRandom, groupsOfViews, parameterScope, type Tensor, tf } from '@spatialsv/core/kit';
import { expectAllclose } from '@spatialsv/core/testing';
import { mixViews } from './da3-backbone.js';
import { type BackboneConfig, variantConfig } from './da3-config.js';
import { networkShapes } from './da3-names.js';

jest.mock('@spatialsv/core/kit', () => ({
  ...jest.requireActual('@spatialsv/core/kit'),
  groupsOfViews: jest.fn(),
}));

const random = createRandom(1);
const tensorOf = (shape: readonly number[]): Tensor => {
  const size = shape.reduce((product, length) => product * length, 1);
  return tf.tensor(
    Float32Array.from({ length: size }, () => random.uniform(-0.3, 0.3)),
    [...shape],
  );
};

describe('mixViews', () => {
  const small = variantConfig('da3-small').anyView!;
  const backbone: BackboneConfig = {
    ...small.backbone,
    depth: 4,
    hidden: 24,
    baseGrid: 3,
    taps: [0, 1, 2, 3],
    crossViewStart: 2,
    channels: 16,
    heads: 2,
  };
  const shapes = Object.entries(networkShapes({ ...small, backbone })).filter(([name]) =>
    name.startsWith('backbone.'),
  );
  const parameters = Object.fromEntries(shapes.map(([name, shape]) => [name, tensorOf(shape)]));
  const scope = parameterScope(parameters, 'backbone.pretrained');
  const start = tensorOf([3, 1 + 2 * 3, 16]);
  const mixed = (sizes: number[]) => {
    jest.mocked(groupsOfViews).mockImplementation((views) => tf.split(views, sizes, 0));
    return mixViews(backbone, scope, start, { h: 2, w: 3 }, { first: 1, last: 3 });
  };

  beforeAll(() => tf.setBackend('cpu'));

  it.each([[[1, 1, 1]], [[2, 1]]])(
    'gives for groups of %j what it gives for all at once',
    (sizes) => {
      const [found, expected] = [mixed(sizes), mixed([3])];
      for (const name of ['state', 'tap', 'special'] as const) {
        expect(found[name].shape).toEqual(expected[name].shape);
        const values = (tensor: Tensor) => tensor.dataSync() as Float32Array;
        expectAllclose(values(found[name]), values(expected[name]), { rtol: 1e-5, atol: 1e-5 });
      }
    },
  );
});
