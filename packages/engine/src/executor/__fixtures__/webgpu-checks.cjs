/** Runs in a process of its own and prints what it saw as one JSON object. */
const { mkdtempSync, rmSync, truncateSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { compile, float32, ops } = require('../../index.ts');
const { openGraph } = require('../../graph-file.ts');
const { serialiseModel } = require('../../onnx/schema.ts');
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

/** A weight of more bytes than SwiftShader has in a buffer (1 GiB), in a file without content. */
async function largeWeight() {
  const folder = mkdtempSync(join(tmpdir(), 'weight-'));
  const file = join(folder, 'weights.bin');
  const shape = [1100 * 256, 1024];
  const byteLength = 4 * shape[0] * shape[1];
  writeFileSync(file, '');
  truncateSync(file, byteLength);
  const w = { kind: 'mapped', file, byteOffset: 0, byteLength, storedAs: 'F32', shape };
  const project = ({ x, w }) => ({ y: ops.linear(x, w) });
  try {
    await compile(project, { x: float32(1, 1024), w }, { device: 'webgpu', name: 'head' });
    return { code: 'none', message: '' };
  } catch ({ code, message }) {
    return { code, message };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function main() {
  const add = await open('Add');
  const multiply = await open('Mul');
  const seen = {
    hostToHost: await hostToHost(add),
    freshOutputs: await freshOutputs(add),
    residentState: await residentState(add, multiply),
    graphFromFile: await graphFromFile(),
    largeWeight: await largeWeight(),
    afterwards: await hostToHost(add),
  };
  console.log(JSON.stringify(seen));
  // Sessions are left open on purpose: the process must end cleanly all the same.
}

main();
