import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  type CompileOptions,
  compile,
  createTensor,
  type DeviceTensor,
  differentiate,
  type EngineError,
  float32,
  int32,
  type MappedTensor,
  openGraph,
  ops,
  type Program,
  type Tensor,
  type Tree,
  tf,
} from './index.js';
import { encodeModel } from './onnx/encode.js';
import { seeded } from './testing/compare.js';
import { trace } from './trace/trace.js';

type Inputs = Record<string, Tensor>;

/** Types of a program depend on its inputs, which a test states beside it. */
const program = <In>(f: (inputs: In) => Tree<Tensor>): Program => f;

const outputs = (tree: unknown) => tree as Record<string, DeviceTensor>;

async function readAll(tree: unknown): Promise<Record<string, number[]>> {
  const entries = Object.entries(outputs(tree)).map(async ([name, tensor]) => [
    name,
    Array.from(await tensor.read()),
  ]);
  return Object.fromEntries(await Promise.all(entries));
}

async function codeOf(action: () => Promise<unknown>): Promise<string> {
  try {
    await action();
  } catch (error) {
    return (error as EngineError).code;
  }
  return 'no error';
}

const twoLayers = program(({ parameters, x }: { parameters: Inputs; x: Tensor }) => {
  const hidden = ops.silu(ops.linear(x, parameters['first']!, parameters['bias']!));
  return { loss: tf.mean(tf.square(ops.linear(hidden, parameters['second']!))), hidden };
});
const twoLayerSpecs = {
  parameters: { first: float32(5, 4), bias: float32(5), second: float32(2, 5) },
  x: float32(3, 4),
};
const twoLayerValues = {
  parameters: { first: seeded(20), bias: seeded(5), second: seeded(10) },
  x: seeded(12),
};

it('types inputs, results and gradients by program, specs and options', async () => {
  const compiled = await compile(
    ({ parameters: { w }, x }) => ({ loss: tf.sum(tf.mul(x, w)), w: tf.add(w, x), y: { x } }),
    { parameters: { w: float32(2) }, w: float32(2), x: float32(2) },
    { gradients: ['parameters'], state: ['w'] },
  );
  const w = createTensor(float32(2));
  const results = await compiled.run({
    parameters: { w: Float32Array.of(3, 4) },
    w,
    x: Float32Array.of(1, 2),
  });
  const named: readonly DeviceTensor[] = [
    results.loss,
    results.gradients.parameters.w,
    results.y.x,
  ];
  // @ts-expect-error state stays in the tensor that was given
  expect(results.w).toBeUndefined();
  expect(await Promise.all(named.map(async (each) => [...(await each.read())]))).toEqual([
    [11],
    [1, 2],
    [1, 2],
  ]);
});

it('types results without options, and with options that are no literals', async () => {
  const program = ({ x }: { x: Tensor }) => ({ y: tf.square(x) });
  const x = Float32Array.of(3);
  const plain = await compile(program, { x: float32(1) });
  const { y } = await plain.run({ x });
  expect([...(await y.read())]).toEqual([9]);
  const options: CompileOptions = { device: 'cpu' };
  const other = await compile(program, { x: float32(1) }, options);
  const results = await other.run({ x });
  expect([...(await results.y.read())]).toEqual([9]);
  await Promise.all([plain.dispose(), other.dispose()]);
});

describe.each(['cpu', 'tfjs-cpu'])('compile on %s', (device) => {
  it('returns outputs and gradients of the loss', async () => {
    const compiled = await compile(twoLayers, twoLayerSpecs, { device, gradients: ['parameters'] });
    const result = (await compiled.run(twoLayerValues)) as {
      loss: DeviceTensor;
      gradients: { parameters: Record<string, DeviceTensor> };
    };
    const [loss] = await result.loss.read();
    const epsilon = 1e-2;
    for (const name of ['first', 'bias', 'second'] as const) {
      const direction = seeded(twoLayerValues.parameters[name].length);
      const moved = async (step: number) => {
        const values = twoLayerValues.parameters[name].map(
          (value, i) => value + step * direction[i]!,
        );
        const parameters = { ...twoLayerValues.parameters, [name]: values };
        const again = outputs(await compiled.run({ ...twoLayerValues, parameters }));
        return (await again['loss']!.read())[0]!;
      };
      const difference = ((await moved(epsilon)) - (await moved(-epsilon))) / (2 * epsilon);
      const gradient = Array.from(await result.gradients.parameters[name]!.read());
      const along = gradient.reduce((sum, value, i) => sum + value * direction[i]!, 0);
      expect(Math.abs(along - difference)).toBeLessThan(1e-2 * (Math.abs(difference) + loss!));
    }
    await compiled.dispose();
  });

  it('keeps state on the device and writes it where it was given', async () => {
    const step = program(({ weights, rate }: { weights: Inputs; rate: Tensor }) => {
      const { outputs: value, gradients } = differentiate(
        (p) => ({
          loss: tf.sum(tf.square(tf.matMul(p['w'] as tf.Tensor2D, p['w'] as tf.Tensor2D))),
        }),
        weights,
      );
      return {
        loss: value.loss,
        weights: { w: tf.sub(weights['w']!, tf.mul(gradients['w']!, rate)) },
      };
    });
    const specs = { weights: { w: float32(2, 2) }, rate: float32() };
    const compiled = await compile(step, specs, { device, state: ['weights'] });
    const w = createTensor(float32(2, 2), Float32Array.of(0.5, 0.1, -0.2, 0.4), device);
    const losses: number[] = [];
    for (let i = 0; i < 5; i += 1) {
      const result = outputs(await compiled.run({ weights: { w }, rate: 0.1 }));
      expect(Object.keys(result)).toEqual(['loss']);
      losses.push((await result['loss']!.read())[0]!);
    }
    expect(losses).toEqual([...losses].sort((a, b) => b - a));
    expect(Array.from(await w.read())).not.toEqual([0.5, 0.1, -0.2, 0.4]);
    await compiled.dispose();
  });

  it('takes output tensors from the caller', async () => {
    const compiled = await compile(
      program(({ x }: Inputs) => ({ y: tf.mul(x!, 2) })),
      { x: float32(3) },
      { device },
    );
    const y = createTensor(float32(3), undefined, device);
    await compiled.run({ x: Float32Array.of(1, 2, 3) }, { y });
    expect(Array.from(await y.read())).toEqual([2, 4, 6]);
    await compiled.dispose();
  });

  it('names what is wrong with an input', async () => {
    const compiled = await compile(
      program(({ x }: Inputs) => ({ y: tf.mul(x!, 2) })),
      { x: float32(2, 3) },
      { device },
    );
    expect(await codeOf(() => compiled.run({ x: new Float32Array(5) }))).toBe('INPUT_INVALID');
    expect(await codeOf(() => compiled.run({ x: new Int32Array(6) }))).toBe('INPUT_INVALID');
    expect(await codeOf(() => compiled.run({}))).toBe('INPUT_INVALID');
    await compiled.dispose();
  });

  it('leaves no tfjs tensors behind', async () => {
    await tf.setBackend('cpu');
    const before = tf.memory().numTensors;
    const compiled = await compile(twoLayers, twoLayerSpecs, { device, gradients: ['parameters'] });
    const result = await compiled.run(twoLayerValues);
    const dispose = (node: unknown): void => {
      if ('dispose' in (node as object)) (node as DeviceTensor).dispose();
      else for (const child of Object.values(node as object)) dispose(child);
    };
    dispose(result);
    await compiled.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('state on the CPU', () => {
  it('is written in place when every reader has finished before, and copied back otherwise', async () => {
    const specs = { a: float32(4), x: float32(4) };
    const inPlace = await compile(
      program(({ a, x }: Inputs) => ({ a: tf.add(tf.mul(a!, 0.5), x!) })),
      specs,
      { state: ['a'] },
    );
    const crossed = await compile(
      program(({ a, x }: Inputs) => ({ a: tf.add(a!, x!), old: tf.exp(a!) })),
      specs,
      { state: ['a'] },
    );
    const memory = Float32Array.of(1, 2, 3, 4);
    const a = createTensor(float32(4), memory);
    const x = Float32Array.of(1, 1, 1, 1);
    await inPlace.run({ a, x });
    expect(Array.from(memory)).toEqual([1.5, 2, 2.5, 3]);
    const { old } = await readAll(await crossed.run({ a, x }));
    expect(old![0]).toBeCloseTo(Math.exp(1.5), 5);
    expect(Array.from(await a.read())).toEqual([2.5, 3, 3.5, 4]);
    // The caller's memory stays the tensor's: other programs may be bound to it.
    expect(Array.from(memory)).toEqual([2.5, 3, 3.5, 4]);
    await crossed.run({ a, x });
    expect(Array.from(await a.read())).toEqual([3.5, 4, 4.5, 5]);
    await Promise.all([inPlace.dispose(), crossed.dispose()]);
  });

  it('that a program returns as it is stays where it is', async () => {
    const same = program(({ a }: Inputs) => ({ a: tf.add(a!, tf.zerosLike(a!)) }));
    const compiled = await compile(same, { a: float32(4) }, { state: ['a'] });
    const memory = Float32Array.of(1, 2, 3, 4);
    const a = createTensor(float32(4), memory);
    await compiled.run({ a });
    memory[0] = 9;
    expect(Array.from(await a.read())).toEqual([9, 2, 3, 4]);
    await compiled.dispose();
  });

  it('must be an input and an output of equal shape, and a device tensor', async () => {
    const identity = program(({ a }: Inputs) => ({ a: tf.add(a!, 1) }));
    const spec = { a: float32(2) };
    expect(await codeOf(() => compile(identity, spec, { state: ['b'] }))).toBe('PROGRAM_INVALID');
    const grows = program(({ a }: Inputs) => ({ a: tf.concat([a!, a!]) }));
    expect(await codeOf(() => compile(grows, spec, { state: ['a'] }))).toBe('INPUT_INVALID');
    const compiled = await compile(identity, spec, { state: ['a'] });
    expect(await codeOf(() => compiled.run({ a: new Float32Array(2) }))).toBe('INPUT_INVALID');
    await compiled.dispose();
  });
});

describe('weights mapped from a file', () => {
  const numbers = Float32Array.of(1.5, -2, 0.25, 8, -0.5, 3);
  const bfloat16 = Uint16Array.from(new Uint32Array(numbers.buffer), (bits) => bits >>> 16);
  const float16 = Uint16Array.of(0x3e00, 0xc000, 0x3400, 0x4800, 0xb800, 0x4200);
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'spatialsv-'));
    const header = Buffer.alloc(64);
    for (const [name, data] of Object.entries({ F32: numbers, BF16: bfloat16, F16: float16 })) {
      const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
      await writeFile(path.join(folder, `${name}.bin`), Buffer.concat([header, bytes]));
    }
  });
  afterAll(() => rm(folder, { recursive: true }));

  const mapped = (storedAs: MappedTensor['storedAs']): MappedTensor => ({
    kind: 'mapped',
    shape: [2, 3],
    storedAs,
    file: path.join(folder, `${storedAs}.bin`),
    byteOffset: 64,
    byteLength: storedAs === 'F32' ? 24 : 12,
  });
  const rows = program(({ w, x }: Inputs) => ({ y: ops.linear(x!, w!) }));

  it.each(['F32', 'BF16', 'F16'] as const)('are read at their offset as %s', async (storedAs) => {
    for (const device of ['cpu', 'tfjs-cpu']) {
      const compiled = await compile(rows, { w: mapped(storedAs), x: float32(1, 3) }, { device });
      const { y } = await readAll(await compiled.run({ x: Float32Array.of(1, 10, 100) }));
      expect(y).toEqual([1.5 - 20 + 25, 8 - 5 + 300]);
      await compiled.dispose();
    }
  });

  it.each(['F32', 'BF16', 'F16'] as const)('give the same when prepared: %s', async (storedAs) => {
    const options = { prepareWeights: true };
    const compiled = await compile(rows, { w: mapped(storedAs), x: float32(1, 3) }, options);
    const { y } = await readAll(await compiled.run({ x: Float32Array.of(1, 10, 100) }));
    expect(y).toEqual([1.5 - 20 + 25, 8 - 5 + 300]);
    await compiled.dispose();
  });

  it.each(['F32', 'BF16', 'F16'] as const)('are cut into rows in place: %s', async (storedAs) => {
    const second = program(({ w, x }: Inputs) => ({
      y: ops.linear(x!, tf.slice(w!, [1, 0], [1, 3])),
      part: tf.slice(w!, [0, 1], [2, 1]),
    }));
    const compiled = await compile(second, { w: mapped(storedAs), x: float32(1, 3) });
    const { y, part } = await readAll(await compiled.run({ x: Float32Array.of(1, 10, 100) }));
    expect(y).toEqual([8 - 5 + 300]);
    expect(part).toEqual([-2, -0.5]);
    await compiled.dispose();
    const { graph } = trace(second, { w: mapped(storedAs), x: float32(1, 3) });
    expect(graph.nodes.filter(({ operator }) => operator === 'Slice')).toHaveLength(1);
  });

  it('are prepared right before their use, which takes a place before other nodes', () => {
    const twice = program(({ w, x }: Inputs) => {
      const y = tf.relu(x!);
      return { y: ops.linear(y, tf.neg(w!)) };
    });
    const { graph } = trace(twice, { w: mapped('F32'), x: float32(1, 3) });
    expect(graph.nodes.map(({ operator }) => operator)).toEqual(['Relu', 'Neg', 'Gemm']);
    const bytes = Buffer.from(encodeModel(graph)).toString('latin1');
    expect(bytes.indexOf('Neg')).toBeLessThan(bytes.indexOf('Relu'));
  });

  it('stay references when the graph is saved beside them, and give the same there', async () => {
    const compiled = await compile(rows, { w: mapped('BF16'), x: float32(1, 3) });
    const file = path.join(folder, 'graph.onnx');
    await compiled.save(file);
    await compiled.dispose();
    const graph = await openGraph(file);
    expect(graph.inputs.map((input) => input.name)).toEqual(['x']);
    const x = { data: Float32Array.of(1, 10, 100), shape: [1, 3] };
    const { 'out:y': y } = await graph.run({ x });
    expect(Array.from(y!.data as Float32Array)).toEqual([1.5 - 20 + 25, 8 - 5 + 300]);
    await graph.dispose();
  });

  it('may lie behind a symbolic link to the folder', async () => {
    const link = `${folder}-link`;
    await symlink(folder, link);
    const tensor = { ...mapped('F32'), file: path.join(link, 'F32.bin') };
    const compiled = await compile(rows, { w: tensor, x: float32(1, 3) });
    expect((await readAll(await compiled.run({ x: Float32Array.of(1, 0, 0) })))['y']).toEqual([
      1.5, 8,
    ]);
    await compiled.dispose();
    await rm(link);
  });
});

describe('programs that cannot be compiled', () => {
  const spec = { x: float32(3) };

  it.each([
    ['use an unknown kernel', (x: Tensor) => tf.atan2(x, x), 'KERNEL_MISSING', /Atan2/],
    [
      'differentiate through a kernel without gradient',
      (x: Tensor) => tf.grad((y) => tf.sum(tf.stridedSlice(y, [0], [2], [1])))(x),
      'KERNEL_MISSING',
      /StridedSlice/,
    ],
  ] as const)('%s', async (_name, f, code, message) => {
    const attempt = compile(
      program(({ x }: Inputs) => ({ y: f(x!) })),
      spec,
    );
    await expect(attempt).rejects.toThrow(message);
    await expect(attempt).rejects.toMatchObject({ code, hint: expect.stringMatching(/\w/) });
  });

  it('read values while they are traced', async () => {
    const reads = program(({ x }: Inputs) => ({ y: tf.mul(x!, x!.dataSync()[0]!) }));
    await expect(compile(reads, spec)).rejects.toThrow(/traced once/);
  });

  it('have no scalar loss to differentiate', async () => {
    const plain = program(({ x }: Inputs) => ({ y: tf.mul(x!, 2) }));
    expect(await codeOf(() => compile(plain, spec, { gradients: ['x'] }))).toBe('PROGRAM_INVALID');
    expect(await codeOf(() => compile(plain, spec, { gradients: ['z'] }))).toBe('PROGRAM_INVALID');
  });

  it('ask for a device that is not there', async () => {
    const plain = program(({ x }: Inputs) => ({ y: tf.mul(x!, 2) }));
    await expect(compile(plain, spec, { device: 'abacus' })).rejects.toMatchObject({
      code: 'DEVICE_UNAVAILABLE',
    });
    await expect(compile(plain, spec, { device: 'tensorflow' })).rejects.toMatchObject({
      code: 'DEVICE_UNAVAILABLE',
    });
  });
});

describe('a run', () => {
  it('leaves the event loop free', async () => {
    const product = program(({ a }: Inputs) => ({
      c: tf.matMul(a as tf.Tensor2D, a as tf.Tensor2D),
    }));
    const compiled = await compile(product, { a: float32(1024, 1024) });
    let ticks = 0;
    const timer = setInterval(() => {
      ticks += 1;
    }, 1);
    const a = new Float32Array(1024 * 1024);
    for (let runs = 0; ticks < 4 && runs < 1000; runs += 1) await compiled.run({ a });
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(3);
    await compiled.dispose();
  });

  it('takes integers and copies outputs that are inputs', async () => {
    const gather = program(({ table, ids }: Inputs) => ({
      rows: tf.gather(table!, ids as tf.Tensor1D),
      table: table!,
    }));
    const compiled = await compile(gather, { table: float32(3, 2), ids: int32(2) });
    const result = await compiled.run({
      table: Float32Array.of(1, 2, 3, 4, 5, 6),
      ids: Int32Array.of(2, 0),
    });
    expect(await readAll(result)).toEqual({ rows: [5, 6, 1, 2], table: [1, 2, 3, 4, 5, 6] });
    await compiled.dispose();
  });
});

describe('products that something is added to', () => {
  it('accumulate in place', async () => {
    const accumulate = program(({ sum, a, b }: Inputs) => {
      const rest = tf.mul(a!, 2);
      return {
        sum: tf.add(sum!, ops.linear(rest, b!)),
        residual: tf.add(ops.linear(a!, b!), tf.tile(tf.slice(a!, [0, 0], [2, 1]), [1, 2])),
      };
    });
    const specs = { sum: float32(2, 2), a: float32(2, 3), b: float32(2, 3) };
    const compiled = await compile(accumulate, specs, { state: ['sum'] });
    const memory = Float32Array.of(100, 200, 300, 400);
    const sum = createTensor(float32(2, 2), memory);
    const values = { a: Float32Array.of(1, 2, 3, 4, 5, 6), b: Float32Array.of(1, 0, 1, 0, 1, 0) };
    const { residual } = await readAll(await compiled.run({ sum, ...values }));
    await compiled.run({ sum, ...values });
    expect(Array.from(memory)).toEqual([116, 208, 340, 420]);
    expect(residual).toEqual([5, 3, 14, 9]);
    await compiled.dispose();
  });

  it('scatter into an accumulator in place', async () => {
    const lookUp = program(({ table, sum, ids }: Record<string, Tensor>) => {
      const { gradients } = differentiate(
        (p) => ({ loss: tf.sum(tf.square(tf.gather(p['table']!, ids as tf.Tensor1D))) }),
        { table: table! },
      );
      return { sum: tf.add(sum!, gradients['table']!) };
    });
    const specs = { table: float32(3, 2), sum: float32(3, 2), ids: int32(3) };
    const compiled = await compile(lookUp, specs, { state: ['sum'] });
    const memory = new Float32Array(6).fill(10);
    const sum = createTensor(float32(3, 2), memory);
    const table = Float32Array.of(1, 2, 3, 4, 5, 6);
    for (let i = 0; i < 2; i += 1) await compiled.run({ sum, table, ids: Int32Array.of(2, 0, 2) });
    expect(Array.from(memory)).toEqual([14, 18, 10, 10, 50, 58]);
    await compiled.dispose();
  });
});
