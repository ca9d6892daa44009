import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serialiseModel } from '../onnx/schema.js';
import {
  allocateOnDevice,
  configureEnvironment,
  DeviceValue,
  type ElementType,
  executorInfo,
  type HostMemory,
  locateLibrary,
  readToHost,
  Session,
  type SessionOptions,
  trimMemory,
  uploadFromHost,
  writeFromHost,
} from './index.js';

const CODE: Partial<Record<ElementType, number>> = {
  float32: 1,
  int32: 6,
  int64: 7,
  float16: 10,
  bfloat16: 16,
};
type Tensor = readonly [name: string, dtype: ElementType, shape: readonly number[]];
type Node = readonly [operator: string, inputs: string[], outputs: string[], attributes?: object[]];

const describeTensor = ([name, dtype, shape]: Tensor) => ({
  name,
  type: {
    tensorType: { elemType: CODE[dtype], shape: { dim: shape.map((dimValue) => ({ dimValue })) } },
  },
});

function model(
  nodes: Node[],
  inputs: Tensor[],
  outputs: Tensor[],
  initializer: object[] = [],
): Uint8Array {
  const node = nodes.map(([opType, input, output, attribute = []]) => ({
    opType,
    input,
    output,
    attribute,
  }));
  return serialiseModel({
    irVersion: 10,
    opsetImport: [{ domain: '', version: 21 }],
    graph: {
      name: 'test',
      node,
      initializer,
      input: inputs.map(describeTensor),
      output: outputs.map(describeTensor),
    },
  });
}

const binary = (operator: string, dtype: ElementType, shape: number[]) =>
  model(
    [[operator, ['a', 'b'], ['c']]],
    [
      ['a', dtype, shape],
      ['b', dtype, shape],
    ],
    [['c', dtype, shape]],
  );

const open = (bytes: Uint8Array, options: Partial<SessionOptions> = {}) =>
  Session.create(bytes, { provider: 'cpu', name: 'test', ...options });

const floats = (array: Float32Array, shape: number[] = [array.length]) =>
  DeviceValue.fromHost(array, 'float32', shape);

const numbers = async (value: DeviceValue) => Array.from((await readToHost(value)) as Float32Array);

/** A session of c = a + b over four floats, everything bound. */
async function openAdd() {
  const session = await open(binary('Add', 'float32', [4]));
  const [a, b, c] = [
    Float32Array.of(1, 2, 3, 4),
    Float32Array.of(10, 20, 30, 40),
    new Float32Array(4),
  ];
  const binding = session.createBinding();
  binding.bindInput('a', floats(a));
  binding.bindInput('b', floats(b));
  const result = floats(c);
  binding.bindOutput('c', result);
  return { session, binding, a, b, c, result };
}

/** A session of a square float32 product that takes some milliseconds. */
async function openProduct(size: number) {
  const session = await open(binary('MatMul', 'float32', [size, size]));
  const binding = session.createBinding();
  const square = () => floats(new Float32Array(size * size).fill(1), [size, size]);
  const c = new Float32Array(size * size);
  binding.bindInput('a', square());
  binding.bindInput('b', square());
  binding.bindOutput('c', floats(c, [size, size]));
  return { session, binding, c };
}

describe('library', () => {
  it('reports version, providers and path', () => {
    const info = executorInfo();
    expect(info.version).toMatch(/^1\.\d+\.\d+/);
    expect(info.providers).toContain('CPUExecutionProvider');
    expect(existsSync(info.library)).toBe(true);
  });

  it('names the platform that has no library', () => {
    expect(() => locateLibrary('linux', 'mips')).toThrow(
      expect.objectContaining({
        code: 'LIBRARY_MISSING',
        message: expect.stringContaining('linux-mips'),
      }),
    );
    expect(() => locateLibrary('aix', 'ppc64')).toThrow(
      expect.objectContaining({ code: 'LIBRARY_MISSING' }),
    );
  });
});

describe('session', () => {
  it('describes inputs and outputs', async () => {
    const session = await open(binary('Add', 'int64', [2, 3]));
    expect(session.inputs).toEqual([
      { name: 'a', dtype: 'int64', shape: [2, 3] },
      { name: 'b', dtype: 'int64', shape: [2, 3] },
    ]);
    expect(session.outputs).toEqual([{ name: 'c', dtype: 'int64', shape: [2, 3] }]);
    session.dispose();
  });

  it('turns a status into an error that carries its message', async () => {
    await expect(open(Uint8Array.of(1, 2, 3), { name: 'broken' })).rejects.toMatchObject({
      code: 'MODEL_INVALID',
      message: expect.stringMatching(/"broken".*protobuf/i),
      hint: expect.any(String),
    });
    await expect(Session.create('/nowhere/model.onnx', { provider: 'cpu' })).rejects.toMatchObject({
      code: 'MODEL_INVALID',
      message: expect.stringContaining('/nowhere/model.onnx'),
    });
  });

  it('says what CUDA needs where its libraries are missing', async () => {
    const outcome = Session.create(binary('Add', 'float32', [1]), { provider: 'cuda' });
    const error = await outcome.then(
      (session) => session.dispose(),
      (reason) => reason,
    );
    if (error !== undefined) expect(error).toMatchObject({ code: 'DEVICE_UNAVAILABLE' });
  });

  it('runs in the shared pool, in a pool of its own and without optimisation', async () => {
    for (const options of [
      {},
      { threads: 2 },
      { threads: 1, allowSpinning: false },
      { optimization: 'disabled' as const },
    ]) {
      const session = await open(binary('Mul', 'float32', [3]), options);
      const binding = session.createBinding();
      const c = new Float32Array(3);
      binding.bindInput('a', floats(Float32Array.of(1, 2, 3)));
      binding.bindInput('b', floats(Float32Array.of(4, 5, 6)));
      binding.bindOutput('c', floats(c));
      await binding.run();
      expect(Array.from(c)).toEqual([4, 10, 18]);
      session.dispose();
    }
  });

  it('refuses new settings of the environment once it is in use', async () => {
    const session = await open(binary('Add', 'float32', [1]));
    expect(() => configureEnvironment({ threads: 1 })).toThrow(
      expect.objectContaining({ code: 'BUSY' }),
    );
    session.dispose();
  });
});

describe('files', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'executor-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** c = a + Cast(w), w two bfloat16 numbers at byte 6 of `weights.bin`. */
  const mapped = () => {
    const entry = (key: string, value: string) => ({ key, value });
    const externalData = [
      entry('location', 'weights.bin'),
      entry('offset', '6'),
      entry('length', '4'),
    ];
    const cast: Node = ['Cast', ['w'], ['w32'], [{ name: 'to', type: 2, i: CODE.float32 }]];
    return model(
      [cast, ['Add', ['a', 'w32'], ['c']]],
      [['a', 'float32', [2]]],
      [['c', 'float32', [2]]],
      [{ name: 'w', dims: [2], dataType: CODE.bfloat16, dataLocation: 1, externalData }],
    );
  };

  it('maps weights out of a file at their offset and leaves casts in the graph when asked', async () => {
    // 1.5 and −2 as bfloat16 are the upper halves of their float32 bits.
    writeFileSync(
      join(folder, 'weights.bin'),
      Buffer.from([9, 9, 9, 9, 9, 9, 0xc0, 0x3f, 0x00, 0xc0, 9]),
    );
    for (const disabledOptimizers of [[], ['ConstantFolding']]) {
      const optimizedModelPath = join(folder, 'optimised.onnx');
      const session = await open(mapped(), {
        externalDataFolder: folder,
        disabledOptimizers,
        optimizedModelPath,
      });
      const binding = session.createBinding();
      const c = new Float32Array(2);
      binding.bindInput('a', floats(Float32Array.of(1, 1)));
      binding.bindOutput('c', floats(c));
      await binding.run();
      expect(Array.from(c)).toEqual([2.5, -1]);
      expect(readFileSync(optimizedModelPath).includes('Cast')).toBe(disabledOptimizers.length > 0);
      session.dispose();
    }
  });

  it('names a missing file of weights', async () => {
    await expect(open(mapped(), { externalDataFolder: folder })).rejects.toMatchObject({
      code: 'MODEL_INVALID',
      message: expect.stringContaining('weights.bin'),
    });
  });

  it('reads a model by its path', async () => {
    const path = join(folder, 'model.onnx');
    writeFileSync(path, binary('Add', 'float32', [2]));
    const session = await Session.create(path, { provider: 'cpu' });
    const binding = session.createBinding();
    binding.bindInput('a', floats(Float32Array.of(1, 2)));
    binding.bindInput('b', floats(Float32Array.of(3, 4)));
    binding.bindOutputToDevice('c');
    await binding.run();
    expect(await numbers(binding.outputs()[0]!)).toEqual([4, 6]);
    session.dispose();
  });
});

describe('binding', () => {
  it('reads and writes the memory of the arrays, also after they change', async () => {
    const { session, binding, a, c, result } = await openAdd();
    await binding.run();
    expect(Array.from(c)).toEqual([11, 22, 33, 44]);
    a.fill(0);
    await binding.run();
    expect(Array.from(c)).toEqual([10, 20, 30, 40]);
    expect(binding.outputs()).toEqual([result]);
    session.dispose();
  });

  it('honours byte offsets and keeps what lies beside', async () => {
    const { session, binding } = await openAdd();
    const pool = Float32Array.from({ length: 12 }, (_, i) => i);
    binding.clearInputs();
    binding.bindInput('a', floats(pool.subarray(1, 5)));
    binding.bindInput('b', floats(pool.subarray(4, 8)));
    binding.bindOutput('c', floats(pool.subarray(8)));
    await binding.run();
    expect(Array.from(pool)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 5, 7, 9, 11]);
    session.dispose();
  });

  it('gives each run its own memory for outputs that ONNX Runtime allocates', async () => {
    const { session, binding, a } = await openAdd();
    binding.clearOutputs();
    binding.bindOutputToDevice('c');
    await binding.run();
    const [first] = binding.outputs();
    a.fill(0);
    await binding.run();
    const [second] = binding.outputs();
    expect(first).toMatchObject({ device: 'cpu', dtype: 'float32', shape: [4] });
    expect(await numbers(first!)).toEqual([11, 22, 33, 44]);
    expect(await numbers(second!)).toEqual([10, 20, 30, 40]);
    session.dispose();
    expect(await numbers(second!)).toEqual([10, 20, 30, 40]);
    first!.dispose();
    second!.dispose();
  });

  it('queues runs of one binding and of one session', async () => {
    const { session, binding, c } = await openProduct(64);
    const other = session.createBinding();
    const identity = new Float32Array(64 * 64);
    for (let i = 0; i < 64; i += 1) identity[i * 65] = 3;
    other.bindInput('a', floats(c, [64, 64]));
    other.bindInput('b', floats(identity, [64, 64]));
    const scaled = new Float32Array(64 * 64);
    other.bindOutput('c', floats(scaled, [64, 64]));
    await Promise.all([binding.run(), other.run(), binding.run(), binding.run()]);
    expect(new Set(c)).toEqual(new Set([64]));
    expect(new Set(scaled)).toEqual(new Set([192]));
    session.dispose();
  });

  it('runs sessions side by side', async () => {
    const products = await Promise.all([openProduct(96), openProduct(128)]);
    await Promise.all(products.flatMap(({ binding }) => [binding.run(), binding.run()]));
    expect(products.map(({ c }) => c[7])).toEqual([96, 128]);
    for (const { session } of products) session.dispose();
  });

  it('is busy while a run is under way', async () => {
    const { session, binding } = await openProduct(256);
    const run = binding.run();
    expect(() => binding.clearInputs()).toThrow(expect.objectContaining({ code: 'BUSY' }));
    expect(() => binding.outputs()).toThrow(expect.objectContaining({ code: 'BUSY' }));
    await run;
    session.dispose();
  });

  it('leaves the event loop free', async () => {
    const { session, binding } = await openProduct(768);
    let ticks = 0;
    const timer = setInterval(() => {
      ticks += 1;
    }, 1);
    for (let runs = 0; ticks < 10 && runs < 100_000; runs += 1) await binding.run();
    clearInterval(timer);
    expect(ticks).toBeGreaterThanOrEqual(10);
    session.dispose();
  });

  it('lets runs end that were asked for before a dispose', async () => {
    const { session, binding, c } = await openProduct(256);
    const runs = [binding.run(), binding.run()];
    session.dispose();
    await Promise.all(runs);
    expect(c[0]).toBe(256);
    expect(session.disposed).toBe(true);
    await expect(binding.run()).rejects.toMatchObject({ code: 'DISPOSED' });
    expect(() => session.createBinding()).toThrow(expect.objectContaining({ code: 'DISPOSED' }));
  });

  it('refuses names, types, shapes and values that cannot work', async () => {
    const { session, binding, a, result } = await openAdd();
    const refused = (bind: () => void) =>
      expect(bind).toThrow(expect.objectContaining({ code: 'VALUE_INVALID' }));
    refused(() => binding.bindInput('z', result));
    refused(() => binding.bindOutput('a', result));
    refused(() => binding.bindOutputToDevice('b'));
    refused(() => binding.bindInput('a', DeviceValue.fromHost(new Int32Array(4), 'int32', [4])));
    refused(() => binding.bindInput('a', floats(a, [2, 2])));
    refused(() => floats(a, [5]));
    binding.clearInputs();
    await expect(binding.run()).rejects.toMatchObject({
      code: 'VALUE_INVALID',
      message: expect.stringMatching(/a, b$/),
    });
    session.dispose();
  });

  it('refuses disposed values and detached arrays instead of touching their memory', async () => {
    const { session, binding, a, c, result } = await openAdd();
    structuredClone(a.buffer, { transfer: [a.buffer] });
    await expect(binding.run()).rejects.toMatchObject({ code: 'VALUE_INVALID' });
    binding.bindInput('a', floats(Float32Array.of(0, 0, 0, 0)));
    await binding.run();
    expect(Array.from(c)).toEqual([10, 20, 30, 40]);
    result.dispose();
    result.dispose();
    await expect(binding.run()).rejects.toMatchObject({ code: 'DISPOSED' });
    session.dispose();
  });

  it('carries a failure inside a kernel and goes on working', async () => {
    const inputs: Tensor[] = [
      ['a', 'float32', [3]],
      ['i', 'int64', [1]],
    ];
    const session = await open(
      model([['Gather', ['a', 'i'], ['c']]], inputs, [['c', 'float32', [1]]]),
    );
    const binding = session.createBinding();
    const index = BigInt64Array.of(7n);
    const c = new Float32Array(1);
    binding.bindInput('a', floats(Float32Array.of(1, 2, 3)));
    binding.bindInput('i', DeviceValue.fromHost(index, 'int64', [1]));
    binding.bindOutput('c', floats(c));
    await expect(binding.run()).rejects.toMatchObject({
      code: 'RUN_FAILED',
      message: expect.stringMatching(/Gather.*out of/is),
    });
    index[0] = 2n;
    await binding.run();
    expect(c[0]).toBe(3);
    session.dispose();
  });
});

describe('values', () => {
  const cases: [ElementType, HostMemory][] = [
    ['float32', Float32Array.of(1.5, -2, 0)],
    ['int32', Int32Array.of(1, -2, 3)],
    ['int64', BigInt64Array.of(1n, -2n, 2n ** 40n)],
    ['bool', Uint8Array.of(1, 0, 1)],
    ['uint8', Uint8Array.of(1, 200, 3)],
    ['float16', Uint16Array.of(0x3c00, 0xc000, 0)],
    ['bfloat16', Uint16Array.of(0x3f80, 0xc000, 0)],
    ['float64', Float64Array.of(Math.PI, 1, 2)],
  ];

  it.each(cases)('copies %s to and from memory of ONNX Runtime', async (dtype, array) => {
    const value = await uploadFromHost(array, dtype, [3], 'cpu');
    expect(await readToHost(value)).toEqual(array);
    const other = array.slice().reverse() as HostMemory;
    await Promise.all([writeFromHost(value, other), writeFromHost(value, other)]);
    const target = array.slice() as HostMemory;
    expect(await readToHost(value, target)).toBe(target);
    expect(target).toEqual(other);
    value.dispose();
    await expect(readToHost(value)).rejects.toMatchObject({ code: 'DISPOSED' });
  });

  it('knows tensors without elements and without dimensions', async () => {
    const empty = await uploadFromHost(new Float32Array(0), 'float32', [0, 3], 'cpu');
    expect(await readToHost(empty)).toEqual(new Float32Array(0));
    const scalar = await uploadFromHost(Float32Array.of(7), 'float32', [], 'cpu');
    expect(await readToHost(scalar)).toEqual(Float32Array.of(7));
    empty.dispose();
    scalar.dispose();
  });
});

describe('memory', () => {
  const RSS_TOLERANCE = 40e6;

  it('does not grow over created and disposed sessions', async () => {
    const weights = { name: 'b', dims: [512, 512], dataType: 1, rawData: new Uint8Array(2 ** 20) };
    const square: readonly number[] = [512, 512];
    const bytes = model(
      [['Add', ['a', 'b'], ['c']]],
      [['a', 'float32', square]],
      [['c', 'float32', square]],
      [weights],
    );
    const input = floats(new Float32Array(2 ** 18), [512, 512]);
    const cycle = async () => {
      const session = await open(bytes);
      const binding = session.createBinding();
      binding.bindInput('a', input);
      binding.bindOutputToDevice('c');
      await binding.run();
      for (const value of binding.outputs()) value.dispose();
      session.dispose();
    };
    for (let i = 0; i < 50; i += 1) await cycle();
    const before = process.memoryUsage().rss;
    for (let i = 0; i < 200; i += 1) await cycle();
    // A leak of the weights alone would be 200 MB.
    expect(process.memoryUsage().rss - before).toBeLessThan(RSS_TOLERANCE);
  });

  it('gives working memory back when asked', async () => {
    const elements = 2 ** 24;
    const session = await open(
      model(
        [
          ['Exp', ['a'], ['x']],
          ['Mul', ['x', 'a'], ['c']],
        ],
        [['a', 'float32', [elements]]],
        [['c', 'float32', [elements]]],
      ),
    );
    const binding = session.createBinding();
    binding.bindInput('a', floats(new Float32Array(elements)));
    binding.bindOutputToDevice('c');
    for (let i = 0; i < 2; i += 1) {
      await binding.run();
      for (const value of binding.outputs()) value.dispose();
    }
    session.dispose();
    const before = process.memoryUsage().rss;
    await trimMemory();
    expect(before - process.memoryUsage().rss).toBeGreaterThan(0.9 * 4 * elements);
  });

  it('allocates values that belong to no array', async () => {
    const value = await allocateOnDevice('cpu', 'float32', [2, 2]);
    await writeFromHost(value, Float32Array.of(1, 2, 3, 4));
    expect(value).toMatchObject({ device: 'cpu', host: undefined, byteLength: 16 });
    expect(await numbers(value)).toEqual([1, 2, 3, 4]);
    value.dispose();
  });
});
