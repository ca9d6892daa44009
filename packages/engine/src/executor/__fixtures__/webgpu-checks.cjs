/** Runs in a process of its own and prints what it saw as one JSON object. */
const { closeSync, mkdtempSync, openSync, rmSync, truncateSync, writeFileSync, writeSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { compile, configureEnvironment, createTensor, float32, int32, ops, tf } = require('../../index.ts');
const { openGraph } = require('../../graph-file.ts');
const { serialiseModel } = require('../../onnx/schema.ts');
const { compileCase } = require('../../testing/compare.ts');
const { differentiatedInputs, GROUPS } = require('../../testing/kernel-cases.ts');
const { StoredValues } = require('../../weights/stored-values.ts');
const executor = require('../index.ts');

const { DeviceValue, Session, allocateOnDevice, readToHost, uploadFromHost, writeFromHost } = executor;
const tensor = (name) => ({ name, type: { tensorType: { elemType: 1, shape: { dim: [{ dimValue: 4 }] } } } });
const model = (operator) =>
  serialiseModel({
    irVersion: 10,
    opsetImport: [{ domain: '', version: 21 }],
    graph: {
      name: 'test',
      node: [{ opType: operator, input: ['a', 'b'], output: ['c'] }],
      input: [tensor('a'), tensor('b')],
      output: [tensor('c')],
    },
  });
const open = (operator) => Session.create(model(operator), { provider: 'webgpu', name: operator });
const host = (...numbers) => DeviceValue.fromHost(Float32Array.from(numbers), 'float32', [4]);
const read = async (value) => Array.from(await readToHost(value));

async function hostToHost(session) {
  const binding = session.createBinding();
  const a = Float32Array.of(1, 2, 3, 4);
  const c = new Float32Array(4);
  binding.bindInput('a', DeviceValue.fromHost(a, 'float32', [4]));
  binding.bindInput('b', host(10, 20, 30, 40));
  binding.bindOutput('c', DeviceValue.fromHost(c, 'float32', [4]));
  await binding.run();
  const first = Array.from(c);
  a[0] = 100;
  await binding.run();
  binding.dispose();
  return { first, afterChange: Array.from(c) };
}

async function freshOutputs(session) {
  const binding = session.createBinding();
  binding.bindInput('b', host(0, 0, 0, 0));
  binding.bindOutputToDevice('c');
  binding.bindInput('a', host(1, 1, 1, 1));
  await binding.run();
  const [first] = binding.outputs();
  binding.bindInput('a', host(2, 2, 2, 2));
  await binding.run();
  const [second] = binding.outputs();
  return { device: first.device, first: await read(first), second: await read(second) };
}

/** state ← state + step, then a second session doubles it: nothing but the last read passes through the host. */
async function residentState(add, multiply) {
  const state = [await uploadFromHost(Float32Array.of(1, 2, 3, 4), 'float32', [4], 'webgpu')];
  state.push(await allocateOnDevice('webgpu', 'float32', [4]));
  const step = await uploadFromHost(Float32Array.of(1, 1, 1, 1), 'float32', [4], 'webgpu');
  const binding = add.createBinding();
  binding.bindInput('b', step);
  for (let i = 0; i < 5; i += 1) {
    binding.bindInput('a', state[i % 2]);
    binding.bindOutput('c', state[(i + 1) % 2]);
    await binding.run();
  }
  await writeFromHost(step, Float32Array.of(2, 2, 2, 2));
  const doubling = multiply.createBinding();
  doubling.bindInput('a', state[1]);
  doubling.bindInput('b', step);
  doubling.bindOutput('c', state[0]);
  await Promise.all([doubling.run(), binding.run()]);
  return { devices: state.map((value) => value.device), result: await read(state[0]) };
}

/** Rows of any number, in a file: outputs whose size only the run knows come back to the host. */
async function graphFromFile() {
  const folder = mkdtempSync(join(tmpdir(), 'graph-'));
  const open = (name) => ({
    name,
    type: { tensorType: { elemType: 1, shape: { dim: [{ dimValue: -1 }, { dimValue: 2 }] } } },
  });
  const graph = {
    name: 'test',
    node: [{ opType: 'Add', input: ['a', 'a'], output: ['c'] }],
    input: [open('a')],
    output: [open('c')],
  };
  const file = join(folder, 'double.onnx');
  const opsetImport = [{ domain: '', version: 21 }];
  writeFileSync(file, serialiseModel({ irVersion: 10, opsetImport, graph }));
  const double = await openGraph(file, { device: 'webgpu' });
  rmSync(folder, { recursive: true });
  const rows = [[1, 2], [3, 4, 5, 6]];
  const runs = rows.map((data) =>
    double.run({ a: { data: Float32Array.from(data), shape: [data.length / 2, 2] } }),
  );
  const results = await Promise.all(runs);
  await double.dispose();
  return results.map(({ c }) => ({ shape: c.shape, data: Array.from(c.data) }));
}

/** Runs `body` with a weight of `rows` rows of 1,024 numbers in a file that is a hole but for the given rows. */
async function withWeight(rows, filled, body) {
  const folder = mkdtempSync(join(tmpdir(), 'weight-'));
  const file = join(folder, 'weights.bin');
  const shape = [rows, 1024];
  const byteLength = 4 * rows * 1024;
  writeFileSync(file, '');
  truncateSync(file, byteLength);
  const handle = openSync(file, 'r+');
  for (const [row, number] of Object.entries(filled)) {
    writeSync(handle, new Float32Array(1024).fill(number), 0, 4096, 4096 * Number(row));
  }
  closeSync(handle);
  try {
    return await body({ kind: 'mapped', file, byteOffset: 0, byteLength, storedAs: 'F32', shape });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** As much as a shader is given in this process: what adapters take by themselves is a matter of hundreds of MiB. */
const LARGEST_BYTES = 2 ** 20;

/** More than is given to a shader at once: what is read of its first, middle and last rows. */
function dividedWeight() {
  const rows = LARGEST_BYTES / 4096 + 4;
  const middle = rows / 2;
  const filled = { 0: 1, [middle - 1]: 2, [middle]: 3, [rows - 1]: 4 };
  return withWeight(rows, filled, async (w) => {
    const program = ({ x, i, w }) => {
      const y = ops.linear(x, w);
      return { y: tf.gather(y, i, 1), back: tf.mean(tf.matMul(y, w)), rows: tf.mean(tf.gather(w, i), 1) };
    };
    const specs = { x: float32(1, 1024), i: int32(4), w };
    const compiled = await compile(program, specs, { device: 'webgpu', name: 'head' });
    const i = Int32Array.from(Object.keys(filled), Number);
    const found = await compiled.run({ x: new Float32Array(1024).fill(1), i });
    return Object.fromEntries(
      await Promise.all(Object.entries(found).map(async ([name, value]) => [name, Array.from(await value.read())])),
    );
  });
}

/** More bytes than SwiftShader has in a buffer (1 GiB), for an operation that takes no pieces, and as a tensor. */
function largeTensors() {
  return withWeight(1100 * 256, {}, async (w) => {
    const sum = ({ w }) => ({ y: tf.sum(w) });
    const options = { device: 'webgpu', name: 'head' };
    const weight = await refusal(() => compile(sum, { w }, options));
    const spec = float32(...w.shape);
    const program = await compile(sum, { w: spec }, options);
    const trained = createTensor(spec, undefined, 'webgpu');
    const tensor = await refusal(() => program.run({ w: trained }));
    trained.dispose();
    return { weight, tensor };
  });
}

async function refusal(work) {
  try {
    await work();
    return 'none';
  } catch ({ code, message }) {
    return `${code}: ${message}`;
  }
}

/** 16 bits of bfloat16 on the device as float16, and back on the host as they lie there. */
async function narrowWeight() {
  const folder = mkdtempSync(join(tmpdir(), 'weight-'));
  const file = join(folder, 'weights.bin');
  writeFileSync(file, new Uint8Array(Uint16Array.of(0x3fc0, 0xc000, 0x3e80, 0x4100).buffer));
  const stored = new StoredValues('webgpu', 'float16');
  const tensor = { kind: 'mapped', file, byteOffset: 0, byteLength: 8, storedAs: 'BF16', shape: [4] };
  const value = await stored.value(tensor);
  const found = { device: value.device, dtype: value.dtype, bits: await read(value) };
  await stored.dispose();
  rmSync(folder, { recursive: true });
  return found;
}

/** What is written for operators that the provider lacks; none of its nodes may run on the CPU. */
async function substitutes() {
  const program = ({ x, n }) => ({
    sign: tf.sign(x),
    signOfIntegers: tf.sign(n),
    round: tf.round(x),
    or: tf.cast(tf.logicalOr(tf.greater(x, 1), tf.less(x, 0)), 'float32'),
    logSoftmax: tf.logSoftmax(tf.reshape(x, [2, 6])),
  });
  const x = Float32Array.of(-2.5, -1.5, -0.6, -0.5, -0, 0.5, 0.6, 1.5, 2.5, 3e6 + 0.5, 1e9, -1e9);
  const n = Int32Array.of(-7, 0, 3);
  const specs = { x: float32(12), n: int32(3) };
  const results = {};
  for (const device of ['cpu', 'webgpu']) {
    const compiled = await compile(program, specs, { device });
    const found = await compiled.run({ x, n });
    results[device] = {};
    for (const [name, value] of Object.entries(found)) results[device][name] = Array.from(await value.read(), (number) => number + 0);
  }
  return results;
}

/** Names of cases of which the provider would run something on the CPU. Sessions alone: no shader is compiled. */
async function withoutKernels() {
  const names = [];
  for (const row of GROUPS.flatMap(([, table]) => table)) {
    const [name, program, given] = row;
    try {
      const compiled = await compileCase(program, given, differentiatedInputs(row), { device: 'webgpu' });
      await compiled.dispose();
    } catch (error) {
      if (!error.message.includes('fallback to CPU EP')) throw error;
      names.push(name);
    }
  }
  return names;
}

async function main() {
  configureEnvironment({ cpuFallback: false, largestTensorBytes: LARGEST_BYTES });
  const add = await open('Add');
  const multiply = await open('Mul');
  const seen = {
    hostToHost: await hostToHost(add),
    freshOutputs: await freshOutputs(add),
    residentState: await residentState(add, multiply),
    graphFromFile: await graphFromFile(),
    dividedWeight: await dividedWeight(),
    largeTensors: await largeTensors(),
    narrowWeight: await narrowWeight(),
    substitutes: await substitutes(),
    withoutKernels: await withoutKernels(),
    afterwards: await hostToHost(add),
  };
  console.log(JSON.stringify(seen));
  // Sessions are left open on purpose: the process must end cleanly all the same.
}

main();
