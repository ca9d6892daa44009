import {
  compile,
  createFlatTensors,
  type ElementwiseProgram,
  FusedUpdate,
  type FusedUpdateOptions,
  float32,
  type Tensor,
  tf,
  UPDATE_BLOCK,
  type UpdatedArray,
} from '../index.js';
import { windowsOf } from './fused-update.js';
import type { WasmHost } from './wasm.js';

const filled = (length: number, f: (i: number) => number) =>
  Float32Array.from({ length }, (_, i) => f(i));

/** Largest difference. */
const worst = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0);

const momentum: ElementwiseProgram = ({ value, speed, push }, { rate }) => {
  const next = tf.add(tf.mul(speed!, 0.9), push!);
  return { value: tf.sub(value!, tf.mul(next, rate!)), speed: next };
};
const options = {
  arrays: ['value', 'speed', 'push'],
  changed: ['value', 'speed'],
  scalars: ['rate'],
};

const signals = (length: number) => ({
  value: filled(length, (i) => Math.sin(i)),
  speed: filled(length, (i) => Math.cos(i)),
  push: filled(length, (i) => Math.sin(3 * i)),
});

/** What ONNX Runtime makes of the program, operation by operation. */
async function compiled(
  program: ElementwiseProgram,
  arrays: Readonly<Record<string, Float32Array>>,
  scalars: Readonly<Record<string, number>>,
): Promise<Record<string, Float32Array>> {
  const specs = {
    arrays: Object.fromEntries(
      Object.entries(arrays).map(([k, { length }]) => [k, float32(length)]),
    ),
    scalars: Object.fromEntries(Object.keys(scalars).map((name) => [name, float32()])),
  };
  type Inputs = Record<'arrays' | 'scalars', Record<string, Tensor>>;
  const whole = (inputs: Inputs) => program(inputs.arrays, inputs.scalars);
  const runnable = await compile(whole, specs, { name: 'update' });
  const outputs = (await runnable.run({ arrays, scalars })) as Record<
    string,
    { read(): Promise<Float32Array>; dispose(): void }
  >;
  const values: Record<string, Float32Array> = {};
  for (const [name, tensor] of Object.entries(outputs)) {
    values[name] = Float32Array.from(await tensor.read());
    tensor.dispose();
  }
  await runnable.dispose();
  return values;
}

describe('FusedUpdate', () => {
  // A part of a chunk, several chunks with a remainder, and enough for other threads, where there are any.
  it.each([1, 83, 1025])('changes every element of %i blocks in place', async (blocks) => {
    const arrays = signals(blocks * UPDATE_BLOCK);
    const expected = await compiled(momentum, arrays, { rate: 0.5 });
    const push = arrays.push.slice();
    const bound = new FusedUpdate(momentum, options).bind(arrays);
    await bound.run({ rate: 0.5 });
    bound.dispose();
    expect(worst(arrays.speed, expected['speed']!)).toBe(0);
    expect(worst(arrays.value, expected['value']!)).toBe(0);
    expect(worst(arrays.push, push)).toBe(0);
  });

  it('computes every operation that it knows as ONNX Runtime does', async () => {
    const program: ElementwiseProgram = ({ a, b }, { s }) => ({
      a: tf.addN([
        tf.div(tf.mul(a!, b!), tf.add(tf.abs(b!), 0.5)),
        tf.sqrt(tf.abs(tf.sub(a!, s!))),
        tf.ceil(tf.mul(a!, 3)),
        tf.floor(tf.mul(b!, 3)),
        tf.neg(tf.maximum(a!, b!)),
        tf.minimum(a!, tf.mul(b!, s!)),
        tf.clipByValue(tf.mul(a!, 4), -1, 1),
      ]),
      b: tf.mul(b!, 0),
    });
    const arrays = { a: filled(512, Math.sin), b: filled(512, (i) => Math.cos(3 * i)) };
    const expected = await compiled(program, arrays, { s: 0.3 });
    const update = new FusedUpdate(program, {
      arrays: ['a', 'b'],
      changed: ['a', 'b'],
      scalars: ['s'],
    });
    await update.bind(arrays).run({ s: 0.3 });
    expect(worst(arrays.a, expected['a']!)).toBe(0);
    expect(arrays.b.every((x) => x === 0)).toBe(true);
  });

  it('may write an array that others still read', async () => {
    const crossed: ElementwiseProgram = ({ value, speed, push }) => ({
      value: tf.add(value!, push!),
      speed: tf.mul(speed!, tf.sqrt(tf.abs(value!))),
    });
    const arrays = signals(2 * UPDATE_BLOCK);
    const expected = await compiled(crossed, arrays, {});
    await new FusedUpdate(crossed, { ...options, scalars: [] }).bind(arrays).run({});
    expect(worst(arrays.value, expected['value']!)).toBe(0);
    expect(worst(arrays.speed, expected['speed']!)).toBe(0);
  });

  it('keeps infinities and what is not a number', async () => {
    const arrays = signals(UPDATE_BLOCK);
    arrays.push.set([Number.POSITIVE_INFINITY, Number.NaN]);
    await new FusedUpdate(momentum, options).bind(arrays).run({ rate: 1 });
    expect([...arrays.value.slice(0, 2)]).toEqual([Number.NEGATIVE_INFINITY, Number.NaN]);
  });

  it('runs at the same time with other scalars on other arrays', async () => {
    const update = new FusedUpdate(momentum, options);
    const runs = [0.25, 0.5].map((rate) => ({ rate, arrays: signals(40 * UPDATE_BLOCK) }));
    await Promise.all(runs.map(({ rate, arrays }) => update.bind(arrays).run({ rate })));
    for (const { rate, arrays } of runs) {
      const expected = await compiled(momentum, signals(40 * UPDATE_BLOCK), { rate });
      expect(worst(arrays.value, expected['value']!)).toBe(0);
    }
  });
});

describe('FusedUpdate by blocks', () => {
  const blocks = 40;
  const N = blocks * UPDATE_BLOCK;
  const perBlock = (values: Tensor, numbers: Tensor) => {
    const count = values.shape[0]! / UPDATE_BLOCK;
    const rows = tf.reshape(values, [count, UPDATE_BLOCK]);
    return tf.reshape(tf.mul(rows, tf.reshape(numbers, [count, 1])), values.shape);
  };
  /** Values become shares of the largest of their block, in 255 steps. */
  const shares: ElementwiseProgram = ({ codes, scales, push }, { rate }) => {
    const moved = tf.add(perBlock(codes!, tf.div(scales!, 255)), tf.mul(push!, rate!));
    const magnitudes = tf.abs(moved);
    const rows = tf.reshape(magnitudes, [magnitudes.shape[0]! / UPDATE_BLOCK, UPDATE_BLOCK]);
    const largest = tf.max(rows, 1);
    const steps = tf.add(perBlock(magnitudes, tf.div(255, largest)), 0.5);
    return { codes: steps, scales: largest };
  };
  const coded: FusedUpdateOptions = {
    arrays: ['codes', 'scales', 'push'],
    changed: ['codes', 'scales'],
    scalars: ['rate'],
    bytes: ['codes'],
    perBlock: ['scales'],
  };

  it('reads and writes bytes and numbers of blocks', async () => {
    const codes = Uint8Array.from({ length: N }, (_, i) => (i * 37) % 256);
    const scales = filled(blocks, (i) => 1 + i);
    const push = filled(N, (i) => 10 * Math.sin(i));
    const plain = { codes: Float32Array.from(codes), scales, push };
    const expected = await compiled(shares, plain, { rate: 0.7 });
    const arrays: Record<string, UpdatedArray> = { codes, scales, push };
    await new FusedUpdate(shares, coded).bind(arrays).run({ rate: 0.7 });
    expect(worst(codes, expected['codes']!.map(Math.floor))).toBe(0);
    expect(worst(scales, expected['scales']!)).toBe(0);
    expect(new Set(codes).size).toBeGreaterThan(100);
  });

  it('refuses arrays that do not fit each other', () => {
    const update = new FusedUpdate(shares, coded);
    const codes = new Uint8Array(N);
    const bind = (arrays: Record<string, UpdatedArray>) => () => update.bind(arrays);
    const push = new Float32Array(N);
    expect(bind({ codes, push, scales: new Float32Array(blocks + 1) })).toThrow(
      /multiple of 256; found 10240, 10496, 10240/,
    );
    expect(bind({ codes: push, push, scales: new Float32Array(blocks) })).toThrow(
      /"codes": expected a Uint8Array, found Float32Array/,
    );
    expect(bind({ codes, scales: new Float32Array(blocks) })).toThrow(
      /"push": expected a Float32Array, found nothing/,
    );
  });
});

describe('windows of arrays', () => {
  it('cover them in order, whatever an element of each stands for', () => {
    const place = { type: 'float32', input: 0 } as const;
    const layout = {
      ...{ chunk: 0, scalars: 0 },
      arrays: [
        { ...place, elementsPer: 1 },
        { ...place, elementsPer: UPDATE_BLOCK },
      ],
    };
    const arrays = [filled(5 * UPDATE_BLOCK, (i) => i), filled(5, (i) => i)];
    const windows = windowsOf({ layout }, { arrays, length: 5 * UPDATE_BLOCK }, 2 * UPDATE_BLOCK);
    expect(windows.map(([, numbers]) => [...numbers!])).toEqual([[0, 1], [2, 3], [4]]);
    expect(windows.map(([values]) => [values![0], values!.at(-1)])).toEqual([
      [0, 511],
      [512, 1023],
      [1024, 1279],
    ]);
    expect(windows[1]![0]!.buffer).toBe(arrays[0]!.buffer);
  });
});

describe('FusedUpdate refuses', () => {
  const zeros = () => new Float32Array(UPDATE_BLOCK);

  it('arrays of odd length, scalars that are missing, and what was disposed', async () => {
    const update = new FusedUpdate(momentum, options);
    const odd = new Float32Array(UPDATE_BLOCK + 1);
    expect(() => update.bind({ value: odd, speed: odd, push: odd })).toThrow(
      expect.objectContaining({ code: 'INPUT_INVALID' }),
    );
    const bound = update.bind({ value: zeros(), speed: zeros(), push: zeros() });
    await expect(bound.run({})).rejects.toThrow(/a number for the scalar "rate", found undefined/);
    bound.dispose();
    bound.dispose();
    await expect(bound.run({ rate: 1 })).rejects.toMatchObject({ code: 'DISPOSED' });
  });

  it('a process without addresses for its kernel, and says what to set', () => {
    const { WebAssembly } = globalThis as unknown as WasmHost;
    const instance = jest.spyOn(WebAssembly, 'Instance').mockImplementation(() => {
      throw new RangeError('Out of memory');
    });
    try {
      expect(() => new FusedUpdate(momentum, options)).toThrow(
        expect.objectContaining({ code: 'RUN_FAILED', hint: expect.stringContaining('ulimit -v') }),
      );
    } finally {
      instance.mockRestore();
    }
  });

  it('a process without WebAssembly, and says what to start it without', () => {
    const replaced = jest.replaceProperty(
      globalThis as Partial<WasmHost>,
      'WebAssembly',
      undefined,
    );
    try {
      expect(() => new FusedUpdate(momentum, options)).toThrow(
        expect.objectContaining({
          code: 'RUN_FAILED',
          message: expect.stringContaining('--jitless'),
        }),
      );
    } finally {
      replaced.restore();
    }
  });

  it('an array that was sent to another thread', async () => {
    const arrays = { value: zeros(), speed: zeros(), push: zeros() };
    const bound = new FusedUpdate(momentum, options).bind(arrays);
    structuredClone(arrays.speed.buffer, { transfer: [arrays.speed.buffer as ArrayBuffer] });
    await expect(bound.run({ rate: 1 })).rejects.toThrow(/an array was detached/);
  });

  it.each<readonly [string, ElementwiseProgram, RegExp]>([
    [
      'an operator that it lacks',
      ({ value, speed }) => ({ value: tf.exp(value!), speed: speed! }),
      /the operator Exp of Exp; those of an update are Add, /,
    ],
    [
      'a sum over all elements',
      ({ value, speed }) => ({ value: tf.add(value!, tf.sum(value!)), speed: speed! }),
      /the operator ReduceSum/,
    ],
    [
      'a constant for each element',
      ({ value, speed }) => ({
        value: tf.add(value!, tf.range(0, value!.shape[0]!)),
        speed: speed!,
      }),
      /a constant of 512 elements/,
    ],
    [
      'a maximum over all elements',
      ({ value, speed }) => ({ value: tf.sub(value!, tf.max(value!)), speed: speed! }),
      /a maximum over something else than the blocks/,
    ],
    [
      'a maximum over elements of several blocks',
      ({ value, speed }) => {
        const turned = tf.reshape(value!, [UPDATE_BLOCK, value!.shape[0]! / UPDATE_BLOCK]);
        const scaled = tf.mul(turned, tf.max(turned, 0));
        return { value: tf.reshape(scaled, value!.shape), speed: speed! };
      },
      /elements in the shape 256×2; expected 512 or 2×256/,
    ],
    [
      'more elements than there are',
      ({ value, speed }) => ({
        value: tf.add(value!, tf.max(tf.reshape(value!, [2, UPDATE_BLOCK]), 1, true)),
        speed: speed!,
      }),
      /a tensor of 1024 elements/,
    ],
    [
      'one number for an array',
      (_, { rate }) => ({ value: tf.mul(rate!, 2), speed: tf.mul(rate!, 3) }),
      /"value": expected a value per element, found one per run/,
    ],
    [
      'a changed array that is not returned',
      ({ value }) => ({ value: tf.mul(value!, 2) }),
      /"speed": expected a value per element, found nothing/,
    ],
  ])('%s', (_, program, message) => {
    const make = () => new FusedUpdate(program, options);
    expect(make).toThrow(expect.objectContaining({ code: 'PROGRAM_INVALID' }));
    expect(make).toThrow(message);
  });
});

describe('options of a FusedUpdate', () => {
  it.each<readonly [string, Partial<FusedUpdateOptions>, RegExp]>([
    [
      'a changed array',
      { changed: ['value', 'sped'] },
      /changed: expected names of arrays, found "sped"/,
    ],
    ['an array of bytes', { bytes: ['codes'] }, /bytes: expected names of arrays, found "codes"/],
    ['an array by blocks', { perBlock: ['scale'] }, /perBlock: expected names of arrays/],
    [
      'numbers of blocks in bytes',
      { bytes: ['push'], perBlock: ['push'] },
      /"push": bytes have a value for each element/,
    ],
  ])('name %s that there is', (_, wrong, message) => {
    const make = () => new FusedUpdate(momentum, { ...options, ...wrong });
    expect(make).toThrow(expect.objectContaining({ code: 'PROGRAM_INVALID' }));
    expect(make).toThrow(message);
  });
});

describe('createFlatTensors', () => {
  it('lays tensors into one padded array', async () => {
    const { tensors, arrays } = createFlatTensors({ a: float32(3), b: float32(2, 2) });
    await tensors['b']!.write(Float32Array.of(1, 2, 3, 4));
    const [memory, ...others] = arrays;
    expect(others).toEqual([]);
    expect(memory!.length % UPDATE_BLOCK).toBe(0);
    expect(Array.from(memory!.subarray(14, 21))).toEqual([0, 0, 1, 2, 3, 4, 0]);
  });

  it('takes another array where one is full, and one of its own for a larger tensor', async () => {
    const block = UPDATE_BLOCK;
    const sizes = { a: block, b: block - 16, c: 16, d: 1, e: 5 * block + 1, f: 7 };
    const specs = Object.fromEntries(Object.entries(sizes).map(([k, n]) => [k, float32(n)]));
    const { tensors, arrays } = createFlatTensors(specs, 2 * block);
    expect(arrays.map(({ length }) => length / block)).toEqual([2, 1, 6, 1]);
    for (const [i, name] of Object.keys(sizes).entries()) {
      await tensors[name]!.write(new Float32Array(sizes[name as 'a']).fill(i + 1));
    }
    const ends = arrays.map((memory) => [memory[0], memory[block - 1], memory.at(-1)]);
    expect(ends).toEqual([
      [1, 1, 3],
      [4, 0, 0],
      [5, 5, 0],
      [6, 0, 0],
    ]);
  });
});
