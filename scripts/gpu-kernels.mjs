/**
 * `node scripts/gpu-kernels.mjs [DEVICE]`, after a build: every case of the kernel suite, and training steps of a tiny decoder, on
 * a device and on the CPU. Prints the largest relative differences as JSON lines; fails where one is over 1e-3, unless nothing is computed there, which
 * a pretend GPU is known by.
 */
import { importBuilt, readArguments } from './arguments.mjs';

const TOLERANCE = 1e-3;
const STEPS = 5;
const [device = 'cuda'] = readArguments(import.meta.url, {}, 1).positionals;
const { compile, createTensor, cudaReport } = await importBuilt('engine/dist/index.js');
const { compileCase, worst } = await importBuilt('engine/dist/testing/compare.js');
const { differentiatedInputs, GROUPS } = await importBuilt('engine/dist/testing/kernel-cases.js');
const { tinyBatch, tinyParameters, tinySpecs, tinyStep } = await importBuilt(
  'engine/dist/testing/tiny-decoder.js',
);
const isPretend = (cudaReport().runtime?.gpus ?? []).some(({ name }) => name === 'pretend GPU');
const say = (figures) => console.log(JSON.stringify({ bench: 'gpu', device, ...figures }));

async function outputsOn(name, [, program, given], inputs) {
  const compiled = await compileCase(program, given, inputs, { device: name });
  try {
    return await compiled.at(0, undefined);
  } finally {
    await compiled.dispose();
  }
}

/** Largest difference of value and gradients of a case between the device and the CPU. */
async function differenceOf(row) {
  const inputs = differentiatedInputs(row);
  const [own, reference] = [
    await outputsOn(device, row, inputs),
    await outputsOn('cpu', row, inputs),
  ];
  const gradients = inputs.map((by) => worst(own.gradients[by], reference.gradients[by]));
  return Math.max(worst(own.value, reference.value), ...gradients);
}

async function compareKernels() {
  const rows = GROUPS.flatMap(([, table]) => table);
  const [differing, failing] = [[], []];
  let largest = 0;
  for (const row of rows) {
    try {
      const difference = await differenceOf(row);
      largest = Math.max(largest, difference);
      if (!(difference <= TOLERANCE)) differing.push(row[0]);
    } catch (error) {
      failing.push(`${row[0]}: ${error.message.slice(0, 160)}`);
    }
  }
  const figures = { cases: rows.length, largest, differing: differing.length, failing };
  say({ case: 'kernels', ...figures, names: isPretend ? [] : differing });
  return failing.length === 0 && (isPretend || differing.length === 0);
}

async function lossesOn(name) {
  const program = await compile(tinyStep, tinySpecs, { device: name, state: ['parameters'] });
  const parameters = Object.fromEntries(
    Object.entries(initial).map(([key, data]) => [
      key,
      createTensor(tinySpecs.parameters[key], data.slice(), name),
    ]),
  );
  const losses = [];
  for (let step = 0; step < STEPS; step += 1) {
    const { loss } = await program.run({ parameters, ...tinyBatch() });
    losses.push((await loss.read())[0]);
  }
  return losses;
}

const initial = tinyParameters();

async function compareTraining() {
  const [own, reference] = [await lossesOn(device), await lossesOn('cpu')];
  const largest = Math.max(...own.map((loss, i) => Math.abs(loss - reference[i]) / reference[i]));
  say({
    case: 'tiny-decoder',
    steps: STEPS,
    largest,
    loss: own.at(-1),
    cpu_loss: reference.at(-1),
  });
  return isPretend || largest <= TOLERANCE;
}

const kernels = await compareKernels();
const training = await compareTraining();
process.exit(kernels && training ? 0 : 1);
