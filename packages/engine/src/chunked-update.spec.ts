import { liveHandles, Session } from './executor/index.js';
import {
  CHUNKED_UPDATE_MULTIPLE,
  ChunkedUpdate,
  createFlatTensors,
  type ElementwiseProgram,
  float32,
  tf,
} from './index.js';

const momentum: ElementwiseProgram = ({ value, speed, push }, { rate }) => {
  const next = tf.add(tf.mul(speed!, 0.9), push!);
  return { value: tf.sub(value!, tf.mul(next, rate!)), speed: next };
};
const options = {
  arrays: ['value', 'speed', 'push'],
  changed: ['value', 'speed'],
  scalars: ['rate'],
};

const filled = (length: number, f: (i: number) => number) =>
  Float32Array.from({ length }, (_, i) => f(i));

describe('ChunkedUpdate', () => {
  // One chunk, several, and more than one run of each of the two workers with a remainder.
  it.each([1, 3, 37])('changes every element of %i chunks in place', async (chunks) => {
    const length = chunks * CHUNKED_UPDATE_MULTIPLE;
    const arrays = {
      value: filled(length, (i) => Math.sin(i)),
      speed: filled(length, (i) => Math.cos(i)),
      push: filled(length, (i) => Math.sin(3 * i)),
    };
    const speeds = arrays.speed.map((speed, i) => Math.fround(speed * 0.9) + arrays.push[i]!);
    const values = arrays.value.map((value, i) => value - speeds[i]! * 0.5);
    const update = await ChunkedUpdate.create(momentum, options);
    await update.bind(arrays).run({ rate: 0.5 });
    update.dispose();
    const worst = (a: Float32Array, b: Float32Array) =>
      a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0);
    expect(worst(arrays.speed, speeds)).toBeLessThan(1e-6);
    expect(worst(arrays.value, values)).toBeLessThan(1e-6);
  });

  it('refuses arrays of unequal or odd length', async () => {
    const update = await ChunkedUpdate.create(momentum, options);
    const odd = new Float32Array(CHUNKED_UPDATE_MULTIPLE + 1);
    expect(() => update.bind({ value: odd, speed: odd, push: odd })).toThrow(
      expect.objectContaining({ code: 'INPUT_INVALID' }),
    );
    update.dispose();
  });

  it('leaves nothing behind, also where something fails', async () => {
    const zeros = () => new Float32Array(CHUNKED_UPDATE_MULTIPLE);
    const arrays = { value: zeros(), speed: zeros(), push: zeros() };
    const before = liveHandles();
    const update = await ChunkedUpdate.create(momentum, options);
    const opened = liveHandles();
    const bound = update.bind(arrays);
    await expect(bound.run({})).rejects.toMatchObject({ code: 'INPUT_INVALID' });
    await bound.run({ rate: 1 });
    bound.dispose();
    bound.dispose();
    expect(liveHandles()).toBe(opened);
    const unlike = { ...arrays, speed: new Float64Array(zeros()) as unknown as Float32Array };
    expect(() => update.bind(unlike)).toThrow(expect.objectContaining({ code: 'VALUE_INVALID' }));
    expect(liveHandles()).toBe(opened);
    update.bind(arrays);
    update.dispose();
    expect(liveHandles()).toBe(before);
    expect(() => update.bind(arrays)).toThrow(expect.objectContaining({ code: 'DISPOSED' }));
  });

  it('disposes the sessions that it has when another one cannot be opened', async () => {
    const before = liveHandles();
    const original = Session.create.bind(Session);
    const create = jest.spyOn(Session, 'create');
    let calls = 0;
    create.mockImplementation((model, settings) => {
      calls += 1;
      return calls === 2 ? Promise.reject(new Error('no memory')) : original(model, settings);
    });
    // Sessions of a program that was used before would be there.
    const other: ElementwiseProgram = ({ value, speed, push }, { rate }) => ({
      value: tf.add(value!, tf.mul(rate!, push!)),
      speed: tf.neg(speed!),
    });
    await expect(ChunkedUpdate.create(other, options)).rejects.toThrow('no memory');
    create.mockRestore();
    expect(liveHandles()).toBe(before);
  });

  it('refuses a program that cannot write in place', async () => {
    const crossed: ElementwiseProgram = ({ value, speed, push }) => ({
      value: tf.add(value!, push!),
      speed: tf.mul(speed!, tf.exp(value!)),
    });
    await expect(ChunkedUpdate.create(crossed, options)).rejects.toMatchObject({
      code: 'PROGRAM_INVALID',
    });
  });
});

describe('createFlatTensors', () => {
  it('lays tensors into one padded array', async () => {
    const { tensors, arrays } = createFlatTensors({ a: float32(3), b: float32(2, 2) });
    await tensors['b']!.write(Float32Array.of(1, 2, 3, 4));
    const [memory, ...others] = arrays;
    expect(others).toEqual([]);
    expect(memory!.length % CHUNKED_UPDATE_MULTIPLE).toBe(0);
    expect(Array.from(memory!.subarray(14, 21))).toEqual([0, 0, 1, 2, 3, 4, 0]);
  });

  it('takes another array where one is full, and one of its own for a larger tensor', async () => {
    const chunk = CHUNKED_UPDATE_MULTIPLE;
    const sizes = { a: chunk, b: chunk - 16, c: 16, d: 1, e: 5 * chunk + 1, f: 7 };
    const specs = Object.fromEntries(Object.entries(sizes).map(([k, n]) => [k, float32(n)]));
    const { tensors, arrays } = createFlatTensors(specs, 2 * chunk);
    expect(arrays.map(({ length }) => length / chunk)).toEqual([2, 1, 6, 1]);
    for (const [i, name] of Object.keys(sizes).entries()) {
      await tensors[name]!.write(new Float32Array(sizes[name as 'a']).fill(i + 1));
    }
    const ends = arrays.map((memory) => [memory[0], memory[chunk - 1], memory.at(-1)]);
    expect(ends).toEqual([
      [1, 1, 3],
      [4, 0, 0],
      [5, 5, 0],
      [6, 0, 0],
    ]);
  });
});
