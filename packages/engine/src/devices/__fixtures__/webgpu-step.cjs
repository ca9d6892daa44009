// Runs three training steps on the CPU and on WebGPU and prints losses, gradients and parameters of both as JSON, and what
// crossed the border of the GPU at each step. A node without a kernel there fails its program.
const { compile, configureEnvironment, createTensor } = require('../../index.ts');
const { api } = require('../../executor/api.ts');
const { outCell } = require('../../executor/status.ts');
const koffi = require('koffi');
const { tinyStep, tinySpecs, tinyParameters, tinyBatch } = require('../../testing/tiny-decoder.ts');

configureEnvironment({ cpuFallback: false });

/** What is bound to sessions of the GPU: ONNX Runtime copies a value of the host there, and nothing else. */
const crossed = { BindInput: [], BindOutput: [] };

function countCopies() {
  const functions = api();
  for (const name of Object.keys(crossed)) {
    const bind = functions[name];
    functions[name] = (binding, input, value) => {
      if (memoryName(value) === 'Cpu') crossed[name].push(input);
      return bind(binding, input, value);
    };
  }
}

function memoryName(value) {
  const { GetTensorMemoryInfo, MemoryInfoGetName } = api();
  const [memory, name] = [outCell(), outCell()];
  GetTensorMemoryInfo(value, memory);
  MemoryInfoGetName(memory[0], name);
  return koffi.decode.string(name[0]);
}

function takeCopies() {
  return { uploads: crossed.BindInput.splice(0), downloads: crossed.BindOutput.splice(0) };
}

async function train(device, initial) {
  const program = await compile(tinyStep, tinySpecs, { device, state: ['parameters'] });
  const parameters = {};
  for (const [name, data] of Object.entries(initial)) {
    parameters[name] = createTensor(tinySpecs.parameters[name], data.slice(), device);
  }
  const losses = [];
  const copies = [];
  let gradients = {};
  for (let i = 0; i < 3; i += 1) {
    takeCopies();
    const result = await program.run({ parameters, ...tinyBatch() });
    losses.push((await result.loss.read())[0]);
    copies.push(takeCopies());
    if (i === 0) gradients = await readAll(result.gradients);
  }
  return { losses, gradients, copies, parameters: await readAll(parameters) };
}

async function readAll(tensors) {
  const read = {};
  for (const [name, tensor] of Object.entries(tensors)) read[name] = Array.from(await tensor.read());
  return read;
}

async function main() {
  const initial = tinyParameters();
  const cpu = await train('cpu', initial);
  countCopies();
  const webgpu = await train('webgpu', initial);
  process.stdout.write(JSON.stringify({ cpu, webgpu }));
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
