import { tf } from '../index.js';
import { compileKernel } from './kernel.js';
import { planUpdate, UPDATE_BLOCK } from './plan.js';
import { memoryOf, type SharedPieces, UpdateThread } from './threads.js';

const options = { arrays: ['value', 'push'], changed: ['value'], scalars: ['rate'] };
const kernel = compileKernel(
  planUpdate(
    ({ value, push }, { rate }) => ({ value: tf.add(value!, tf.mul(push!, rate!)) }),
    options,
  ),
  options,
);

const LENGTH = 8 * UPDATE_BLOCK;

function twoWindows(id: number) {
  const arrays = [1, 2].map((factor) => {
    // Parts of a larger buffer, as windows are.
    const buffer = new Float32Array(3 * LENGTH);
    const value = buffer.subarray(16, 16 + LENGTH).fill(1);
    const push = buffer.subarray(2 * LENGTH).map((_, i) => factor * i);
    return [value, push] as const;
  });
  const shared: SharedPieces = {
    id,
    kernel,
    windows: arrays.map((parts) => parts.map(memoryOf)),
    pieces: [0, 1].flatMap((window) => [
      { window, from: 0, to: LENGTH / 2 },
      { window, from: LENGTH / 2, to: LENGTH },
    ]),
  };
  return { arrays, shared };
}

const pass = (next: number) => ({
  next: new Int32Array(new SharedArrayBuffer(4)).fill(next),
  scalars: Float32Array.of(0.5),
});

describe('a thread of updates', () => {
  it('works on every piece that nobody has taken, in the memory of the process', async () => {
    const { arrays, shared } = twoWindows(1);
    const thread = new UpdateThread();
    await thread.pass(shared, pass(1));
    const expected = arrays.map(([, push]) => push.map((x) => 1 + 0.5 * x));
    // The first half of the first window was taken.
    expected[0]!.fill(1, 0, LENGTH / 2);
    expect(arrays.map(([value]) => value)).toEqual(expected);
    await thread.pass(shared, pass(0));
    expect(arrays[1]![0].at(-1)).toBe(1 + 2 * (LENGTH - 1));
    await thread.end();
  });

  it('says what failed, and so does one that has ended', async () => {
    const { shared } = twoWindows(2);
    const thread = new UpdateThread();
    const nowhere = { ...shared.pieces[0]!, window: 7 };
    await expect(thread.pass({ ...shared, pieces: [nowhere] }, pass(0))).rejects.toMatchObject({
      code: 'RUN_FAILED',
      message: /a thread of the update failed: /,
    });
    const waiting = expect(thread.pass(shared, pass(0))).rejects.toMatchObject({
      code: 'RUN_FAILED',
    });
    await thread.end();
    await waiting;
  });

  it('knows nothing of pieces that it was told to forget, until it is told of them again', async () => {
    const { arrays, shared } = twoWindows(3);
    const thread = new UpdateThread();
    await thread.pass(shared, pass(4));
    thread.forget(3);
    await thread.pass(shared, pass(0));
    expect(arrays[0]![0].at(-1)).toBe(1 + 0.5 * (LENGTH - 1));
    await thread.end();
  });
});
