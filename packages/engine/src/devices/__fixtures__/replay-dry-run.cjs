/**
 * Records training steps as CUDA graphs on a pretend GPU with the real provider of ONNX Runtime, replays them, and prints what was counted
 * as one JSON object. `replay-dry-run.cjs refused`: what is said where nothing can be recorded.
 */
const engine = require('../../index.ts');
const { cudaReport } = require('../../executor/index.ts');
const { openCounters } = require('../../testing/pretend-cuda/counters.cjs');
const { tinyStep, tinySpecs, tinySpecsOf, tinyParameters, tinyBatch } = require('../../testing/tiny-decoder.ts');

const { compile, createTensor, float32, tf } = engine;
engine.configureEnvironment({ cpuFallback: false });
const { counts: countsOf, reset, liveBytes, threads } = openCounters(cudaReport());
const NAMES = [
  ...['launch', 'product', 'HostToDevice', 'DeviceToHost', 'cudaMalloc', 'cudaGraphLaunch'],
  ...['cudaStreamBeginCapture', 'recorded copy of the host', 'recorded call of the host', 'refused while recording'],
];

async function counted(work) {
  reset();
  await work();
  return { ...countsOf(NAMES), threads: threads(), live: liveBytes() };
}

const disposeAll = (tree) => {
  for (const [, tensor] of engine.flatten(tree, (node) => typeof node?.read === 'function')) tensor.dispose();
};

function makeParameters() {
  const make = ([name, data]) => [name, createTensor(tinySpecs.parameters[name], data, 'cuda')];
  return Object.fromEntries(Object.entries(tinyParameters()).map(make));
}

const compileStep = (specs, replays) => compile(tinyStep, specs, { device: 'cuda', state: ['parameters'], replays });

async function takeStep(program, parameters, tokens) {
  const made = await program.run({ parameters, ...tinyBatch(tokens) });
  await made.loss.read();
  disposeAll(made);
}

/** Fifty steps on one set of parameters, five on another, and five of another length. */
async function steps(replays) {
  const program = await compileStep(tinySpecs, replays);
  const [parameters, others] = [makeParameters(), makeParameters()];
  const seen = [];
  for (let step = 0; step < 50; step += 1) seen.push(await counted(() => takeStep(program, parameters)));
  const elsewhere = [];
  for (let step = 0; step < 5; step += 1) elsewhere.push(await counted(() => takeStep(program, others)));
  const longer = await compileStep(tinySpecsOf(40), replays);
  const changed = [];
  for (let step = 0; step < 5; step += 1) changed.push(await counted(() => takeStep(longer, parameters, 40)));
  const again = await counted(() => takeStep(program, parameters));
  const { replays: made } = program;
  disposeAll(parameters);
  disposeAll(others);
  await program.dispose();
  await longer.dispose();
  return { steps: seen, elsewhere, changed, again, made, left: liveBytes() };
}

/** A graph that brings tables from the host at every run is not recorded. */
async function unrecordable() {
  const join = ({ a, b }) => ({ y: tf.concat([a, b], 0) });
  const specs = { a: float32(2, 3), b: float32(4, 3) };
  const program = await compile(join, specs, { device: 'cuda', replays: true });
  const inputs = { a: createTensor(specs.a, undefined, 'cuda'), b: createTensor(specs.b, undefined, 'cuda') };
  const seen = [];
  for (let run = 0; run < 3; run += 1) seen.push(await counted(async () => disposeAll(await program.run(inputs))));
  return { runs: seen, made: program.replays };
}

/** A session is made while runs are recorded. */
async function beside() {
  const parameters = makeParameters();
  const program = await compileStep(tinySpecs, true);
  for (let step = 0; step < 2; step += 1) await takeStep(program, parameters);
  const making = (i) => compile(({ x }) => ({ y: tf.add(x, i) }), { x: float32(4) }, { device: 'cuda' });
  return counted(async () => {
    await Promise.all([making(1), takeStep(program, parameters), making(2), making(3)]);
  });
}

async function refused() {
  const w = createTensor(float32(4), Float32Array.of(1, 2, 3, 4), 'cuda');
  const program = await compile((given) => ({ w: tf.add(given.w, 1) }), { w: float32(4) }, {
    ...{ device: 'cuda', state: ['w'], replays: true, name: 'step' },
  });
  await program.run({ w });
  try {
    await program.run({ w });
    return 'none';
  } catch ({ code, message, hint }) {
    return { code, message, hint, values: Array.from(await w.read()) };
  }
}

async function main(part) {
  const seen =
    part === 'refused'
      ? await refused()
      : { replayed: await steps(true), plain: await steps(false), unrecordable: await unrecordable(), beside: await beside() };
  process.stdout.write(JSON.stringify(seen));
}

main(process.argv[2]).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
