/**
 * Runs programs in 16 bits on pretend GPUs with the real provider of ONNX Runtime and prints what was counted. A node without a
 * kernel on the GPU fails its program.
 */
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const engine = require('../../index.ts');
const { cudaReport } = require('../../executor/index.ts');
const { openCounters } = require('../../testing/pretend-cuda/counters.cjs');
const { FUSED } = require('../../testing/fused-cases.ts');
const { GROUPS, differentiatedInputs } = require('../../testing/kernel-cases.ts');
const { compileCase } = require('../../testing/compare.ts');
const { tinyStep, tinySpecs, tinyParameters, tinyBatch } = require('../../testing/tiny-decoder.ts');

const { compile, createTensor, float32, ops } = engine;
engine.configureEnvironment({ cpuFallback: false });

const counters = openCounters(cudaReport());
const NAMES = ['launch', 'product', 'product bfloat16', 'product float16', 'HostToDevice', 'DeviceToHost', 'cudaMalloc'];

const counted = (work) => counters.counted(NAMES, work);

const disposeAll = (tree) => {
  for (const [, tensor] of engine.flatten(tree, (node) => typeof node?.read === 'function')) tensor.dispose();
};

/** The last of four training steps. */
async function trainStep(precision) {
  const program = await compile(tinyStep, tinySpecs, { device: 'cuda', state: ['parameters'], precision });
  const parameters = {};
  for (const [name, data] of Object.entries(tinyParameters())) {
    parameters[name] = createTensor(tinySpecs.parameters[name], data, 'cuda');
  }
  let seen;
  for (let step = 0; step < 4; step += 1) {
    seen = await counted(async () => {
      const made = await program.run({ parameters, ...tinyBatch() });
      await made.loss.read();
      disposeAll(made);
    });
  }
  disposeAll(parameters);
  await program.dispose();
  return seen;
}

/** Values and gradients of every kernel with products, each of which has to be placed on the GPU. @returns their number. */
async function kernels(precision) {
  const rows = GROUPS.filter(([name]) => name === 'matrices' || name === 'convolutions').flatMap(([, table]) => table);
  const cases = [...rows, ...FUSED].filter((_, i) => i % 4 === 0);
  for (const row of cases) {
    const [, program, given] = row;
    const compiled = await compileCase(program, given, differentiatedInputs(row), { device: 'cuda', precision });
    await compiled.at(0, undefined);
    await compiled.dispose();
  }
  return cases.length;
}

/** Launches of a product with a frozen weight: one product, and casts of what is given and taken. */
async function frozen(folder, storedAs, precision) {
  const [rows, columns] = [64, 128];
  const bytes = rows * columns * (storedAs === 'F32' ? 4 : 2);
  const file = join(folder, `${storedAs}.bin`);
  writeFileSync(file, new Uint8Array(bytes));
  const w = { kind: 'mapped', file, byteOffset: 0, byteLength: bytes, storedAs, shape: [rows, columns] };
  const project = ({ x, w: weight }) => ({ y: ops.linear(x, weight) });
  const program = await compile(project, { x: float32(4, columns), w }, { device: 'cuda', precision });
  const run = async () => disposeAll(await program.run({ x: new Float32Array(4 * columns) }));
  await run();
  const seen = await counted(run);
  await program.dispose();
  return seen;
}

async function main() {
  const folder = mkdtempSync(join(tmpdir(), 'precision-'));
  const seen = {
    float32: await trainStep('float32'),
    bfloat16: await trainStep('bfloat16'),
    float16: await trainStep('float16'),
    frozen: {
      stored: await frozen(folder, 'BF16', 'bfloat16'),
      cast: await frozen(folder, 'F32', 'bfloat16'),
      half: await frozen(folder, 'F16', 'float16'),
    },
    cases: { bfloat16: await kernels('bfloat16'), float16: await kernels('float16') },
  };
  rmSync(folder, { recursive: true });
  process.stdout.write(JSON.stringify(seen));
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
