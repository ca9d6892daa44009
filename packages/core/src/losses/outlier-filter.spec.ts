import { tf } from '@spatialsv/engine';
import { createRandom } from '../random.js';
import { expectAllclose } from '../testing/index.js';
import { dropOutliers } from './outlier-filter.js';

const CONFIG = { outlierMinimum: 1000, outlierClamp: 100 };

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe('dropOutliers', () => {
  it('keeps what lies below the element of the quantile’s rank', async () => {
    const values = tf.tensor3d(
      Float32Array.from({ length: 2000 }, (_, k) => 0.02 * k),
      [2, 40, 25],
    );
    const kept = dropOutliers(CONFIG, 0.98, values, tf.ones([2, 40, 25]));
    expectAllclose(await tf.sum(kept.mask).data(), [1959]);
    expectAllclose(await tf.max(kept.values).data(), [39.16]);
    expectAllclose(await tf.div(tf.sum(kept.values), 1959).data(), [19.58]);
  });

  it.each([1, 2, 3])('agrees with sorting on skewed masked values, seed %i', async (seed) => {
    const random = createRandom(seed);
    const shape = [3, 31, 29];
    const data = Float32Array.from({ length: 2697 }, () => Math.exp(random.normal(0, 2)) - 0.5);
    const valid = Float32Array.from(data, () => (random.uniform() < 0.7 ? 1 : 0));
    const clamped = data.filter((_, i) => valid[i] === 1).map((value) => Math.min(value, 100));
    const threshold = clamped.slice().sort()[Math.round(0.9 * (clamped.length - 1))]!;
    const mask = tf.tensor(valid, shape);
    const kept = dropOutliers(CONFIG, 0.9, tf.mul(tf.tensor(data, shape), mask), mask);
    const expected = data.map((value, i) => (valid[i] === 1 && value < threshold ? 1 : 0));
    expectAllclose(await kept.mask.data(), expected, { rtol: 0, atol: 0 });
  });

  it('changes nothing when too few values are valid, or would remain', async () => {
    const shape = [1, 1200, 1];
    const mask = tf.tensor(
      Float32Array.from({ length: 1200 }, (_, k) => (k < 1000 ? 1 : 0)),
      shape,
    );
    const values = tf.mul(tf.reshape(tf.range(0, 1200), shape), mask);
    const few = dropOutliers(CONFIG, 0.5, values, mask);
    expectAllclose(await few.values.data(), await values.data());
    expectAllclose(await few.mask.data(), await mask.data());
    const equal = dropOutliers(CONFIG, 0.5, tf.fill([1, 2000, 1], 3), tf.ones([1, 2000, 1]));
    expectAllclose(await tf.sum(equal.mask).data(), [2000]);
  });

  it('searches for nothing where fewer values are there than must remain', async () => {
    const mask = tf.tensor([1, 0, 1, 1], [1, 2, 2]);
    const values = tf.tensor([1, 0, 500, 3], [1, 2, 2]);
    const { kernelNames } = await tf.profile(() => dropOutliers(CONFIG, 0.5, values, mask).values);
    expect(kernelNames).toEqual(['Multiply']);
    const kept = dropOutliers(CONFIG, 0.5, values, mask);
    expectAllclose(await kept.values.data(), await values.data());
    expectAllclose(await kept.mask.data(), await mask.data());
  });
});
