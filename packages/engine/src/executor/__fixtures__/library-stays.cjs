/** Runs a product on one thread across garbage collections: nothing but the executor then holds the library. */
const { setFlagsFromString } = require('node:v8');
const { runInNewContext } = require('node:vm');
const { serialiseModel } = require('../../onnx/schema.ts');
const { DeviceValue, Session, configureEnvironment } = require('../index.ts');

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');
const SIZE = 512;
const shape = [SIZE, SIZE];
const dims = shape.map((dimValue) => ({ dimValue }));
const tensor = (name) => ({ name, type: { tensorType: { elemType: 1, shape: { dim: dims } } } });
const model = serialiseModel({
  irVersion: 10,
  opsetImport: [{ domain: '', version: 21 }],
  graph: {
    name: 'test',
    node: [{ opType: 'MatMul', input: ['a', 'a'], output: ['c'] }],
    input: [tensor('a')],
    output: [tensor('c')],
  },
});

async function main() {
  configureEnvironment({ threads: 1 });
  const session = await Session.create(model, { provider: 'cpu' });
  const binding = session.createBinding();
  const result = new Float32Array(SIZE * SIZE);
  const ones = new Float32Array(SIZE * SIZE).fill(1);
  binding.bindInput('a', DeviceValue.fromHost(ones, 'float32', shape));
  binding.bindOutput('c', DeviceValue.fromHost(result, 'float32', shape));
  for (let i = 0; i < 3; i += 1) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 10));
    await binding.run();
  }
  console.log(JSON.stringify({ last: result.at(-1) }));
}

main();
