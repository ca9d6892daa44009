import { sizeOf, type Tensor, tf } from '@spatialsv/engine';
import { createRandom } from '../random.js';
import { expectAllclose } from '../testing/allclose.js';
import { parameterScope } from './parameter-scope.js';
import { embedPatches, patchEmbedding } from './vision-patches.js';

beforeAll(() => tf.setBackend('cpu'));

const random = (seed: number, shape: readonly number[]): Tensor => {
  const source = createRandom(seed);
  const size = sizeOf(shape);
  return tf.tensor(
    Float32Array.from({ length: size }, () => source.uniform(-0.5, 0.5)),
    [...shape],
  );
};

describe('patchEmbedding', () => {
  it.each([true, false])('is the convolution that its weight describes, bias %j', (hasBias) => {
    const images = random(1, [2, 6, 4, 3]);
    const [weight, bias] = [random(2, [5, 3, 2, 2]), random(3, [5])];
    const layer = parameterScope(hasBias ? { weight, bias } : { weight });
    const filter = tf.transpose(weight, [2, 3, 1, 0]) as tf.Tensor4D;
    const plain = tf.conv2d(images as tf.Tensor4D, filter, 2, 'valid');
    const expected = hasBias ? tf.add(plain, bias) : plain;
    const patches = patchEmbedding(layer, images);
    expect(patches.shape).toEqual([2, 6, 5]);
    expectAllclose(patches.dataSync(), expected.dataSync(), { atol: 1e-5 });
  });
});

describe('embedPatches', () => {
  it('is the same convolution over patches that were cut before', () => {
    const images = random(1, [1, 4, 4, 3]);
    const layer = parameterScope({ weight: random(2, [5, 3, 2, 2]), bias: random(3, [5]) });
    // (1, h, p, w, p, 3) → (1, h, w, 3, p, p): channels slowest, as the weight has them.
    const cells = tf.transpose(tf.reshape(images, [1, 2, 2, 2, 2, 3]), [0, 1, 3, 5, 2, 4]);
    const found = embedPatches(layer, tf.reshape(cells, [1, 4, 12]));
    expectAllclose(found.dataSync(), patchEmbedding(layer, images).dataSync(), { atol: 1e-5 });
  });

  it('takes filters over several frames', () => {
    const weight = random(4, [5, 3, 2, 2, 2]);
    const patches = random(5, [1, 3, 24]);
    const matrix = tf.reshape(weight, [5, 24]) as tf.Tensor2D;
    const rows = tf.reshape(patches, [3, 24]) as tf.Tensor2D;
    const expected = tf.matMul(rows, matrix, false, true);
    const found = embedPatches(parameterScope({ weight }), patches);
    expectAllclose(found.dataSync(), expected.dataSync(), { atol: 1e-5 });
  });
});
