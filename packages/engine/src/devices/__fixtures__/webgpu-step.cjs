// Runs three training steps on the CPU and on WebGPU and prints losses, gradients and parameters of both as JSON.
const { compile, createTensor } = require('../../index.ts');
const { tinyStep, tinySpecs, tinyParameters, tinyBatch } = require('../../testing/tiny-decoder.ts');

async function train(device, initial) {
  const program = await compile(tinyStep, tinySpecs, { device, state: ['parameters'] });
  const parameters = {};
  for (const [name, data] of Object.entries(initial)) {
    parameters[name] = createTensor(tinySpecs.parameters[name], data.slice(), device);
  }
  const losses = [];
  let gradients = {};
  for (let i = 0; i < 3; i += 1) {
    const result = await program.run({ parameters, ...tinyBatch() });
    losses.push((await result.loss.read())[0]);
    if (i === 0) gradients = await readAll(result.gradients);
  }
  return { losses, gradients, parameters: await readAll(parameters) };
}

async function readAll(tensors) {
  const read = {};
  for (const [name, tensor] of Object.entries(tensors)) read[name] = Array.from(await tensor.read());
  return read;
}

async function main() {
  const initial = tinyParameters();
  const cpu = await train('cpu', initial);
  const webgpu = await train('webgpu', initial);
  process.stdout.write(JSON.stringify({ cpu, webgpu }));
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
