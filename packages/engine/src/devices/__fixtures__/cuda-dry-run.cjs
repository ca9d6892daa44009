/**
 * Runs programs on pretend GPUs with the real provider of ONNX Runtime and prints what was counted as one JSON object.
 * Nothing is computed there: counts are all there is to see. A node without a kernel on the GPU fails its program.
 */
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const engine = require('../../index.ts');
const { arenaMemory, cudaReport, trimMemory } = require('../../executor/index.ts');
const { laneOf } = require('../../executor/provider.ts');
const { openCounters } = require('../../testing/pretend-cuda/counters.cjs');
const { tinyStep, tinySpecs, tinySpecsOf, tinyParameters, tinyBatch } = require('../../testing/tiny-decoder.ts');

const { compile, createTensor, float32, ops, ProgramCache, WeightSet } = engine;
engine.configureEnvironment({ cpuFallback: false });

const report = cudaReport();
const { counts: countsOf, reset, threads, streams, liveBytes, peakBytes, resetPeak } = openCounters(report);
const NAMES = [
  ...['launch', 'product', 'product tf32', 'HostToDevice', 'DeviceToHost', 'DeviceToDevice', 'cudaMalloc'],
  ...['cublasCreate_v2', 'cudaStreamSynchronize', 'cudaDeviceSynchronize'],
];
const counts = () => ({ ...countsOf(NAMES), threads: threads(), streams: streams(), liveBytes: liveBytes() });

/** Counts of a piece of work alone. */
async function counted(work) {
  reset();
  await work();
  return counts();
}

const disposeAll = (tree) => {
  for (const [, tensor] of engine.flatten(tree, (node) => typeof node?.read === 'function')) tensor.dispose();
};

function makeParameters(device) {
  const make = ([name, data]) => [name, createTensor(tinySpecs.parameters[name], data, device)];
  return Object.fromEntries(Object.entries(tinyParameters()).map(make));
}

async function trainSteps(device, steps) {
  const program = await compile(tinyStep, tinySpecs, { device, state: ['parameters'] });
  const parameters = makeParameters(device);
  const seen = [];
  for (let step = 0; step < steps; step += 1) seen.push(await counted(() => trainStep(program, parameters, tinyBatch())));
  disposeAll(parameters);
  await program.dispose();
  return seen;
}

async function trainStep(program, parameters, batch) {
  const made = await program.run({ parameters, ...batch });
  await made.loss.read();
  disposeAll(made);
}

/** Training steps of ten lengths, each with a program of its own of which three are kept, on one set of parameters. */
async function trainShapes() {
  const cache = new ProgramCache(3);
  const parameters = makeParameters('cuda');
  const rounds = [];
  for (let round = 0; round < 2; round += 1) {
    const seen = [];
    for (let tokens = 16; tokens < 96; tokens += 8) {
      const make = () => compile(tinyStep, tinySpecsOf(tokens), { device: 'cuda', state: ['parameters'] });
      await cache.use(String(tokens), make, async (program) => {
        for (let step = 0; step < 3; step += 1)
          seen.push(await counted(() => trainStep(program, parameters, tinyBatch(tokens))));
      });
    }
    rounds.push({ steps: seen, bytes: await trimmed() });
  }
  disposeAll(parameters);
  await cache.dispose();
  return rounds;
}

/** Bytes that a program with 16 MiB of state leaves on the device between its steps, and what copies of it were made. */
async function heldState() {
  const before = await trimmed();
  const shape = [2048, 2048];
  const step = ({ w, x }) => ({ w: engine.tf.sub(engine.tf.mul(w, 0.9), engine.tf.mul(w, x)) });
  const specs = { w: float32(...shape), x: float32(2048) };
  const program = await compile(step, specs, { device: 'cuda', state: ['w'] });
  const w = createTensor(specs.w, undefined, 'cuda');
  const x = createTensor(specs.x, undefined, 'cuda');
  let seen;
  for (let run = 0; run < 3; run += 1) seen = await counted(() => program.run({ w, x }));
  const heldBytes = (await trimmed()) - before;
  await program.dispose();
  disposeAll({ w, x });
  return { stateBytes: 4 * 2048 * 2048, heldBytes, copies: seen.HostToDevice + seen.DeviceToHost + seen.DeviceToDevice };
}

/** Bytes on the GPU after everything that is free was given back. */
async function trimmed() {
  await trimMemory('cuda');
  return liveBytes();
}

/** The most that attention to 4,096 tokens and its gradients take beside inputs and results, and what all scores would take. */
async function attentionMemory() {
  const [heads, tokens, width] = [16, 4096, 64];
  const step = (inputs) => engine.differentiate(
    ({ q, k, v }) => ({ loss: engine.tf.sum(ops.attention(q, k, v, { scale: 0.1, causal: true })) }),
    inputs,
  ).gradients;
  const spec = (n) => float32(n, tokens, width);
  const specs = { q: spec(heads), k: spec(2), v: spec(2) };
  const program = await compile(step, specs, { device: 'cuda' });
  const inputs = Object.fromEntries(
    Object.entries(specs).map(([name, each]) => [name, createTensor(each, undefined, 'cuda')]),
  );
  const before = await trimmed();
  resetPeak();
  for (let run = 0; run < 2; run += 1) disposeAll(await program.run(inputs));
  const taken = peakBytes() - before - 2 * 4 * 20 * tokens * width;
  disposeAll(inputs);
  await program.dispose();
  return { taken, scores: 4 * heads * tokens ** 2 };
}

/** One program for each of ten lengths, of which three are kept, and all of them again. */
async function shapes() {
  const cache = new ProgramCache(3);
  const lengths = Array.from({ length: 10 }, (_, i) => 64 + 24 * i);
  const attend = ({ x }) => ({ y: ops.attention(x, x, x, { scale: 0.2, causal: true }) });
  const rounds = [];
  for (let round = 0; round < 3; round += 1) {
    for (const length of lengths) {
      const make = () => compile(attend, { x: float32(4, length, 32) }, { device: 'cuda' });
      await cache.use(String(length), make, async (program) => {
        disposeAll(await program.run({ x: new Float32Array(4 * length * 32) }));
      });
    }
    rounds.push(await trimmed());
  }
  await cache.dispose();
  return rounds;
}

/** Two programs, for many rows and for one, read one weight in 16 bits. */
async function weights(folder) {
  const [rows, columns] = [1024, 2048];
  const file = join(folder, 'weights.bin');
  writeFileSync(file, new Uint8Array(2 * rows * columns));
  const tensor = {
    ...{ kind: 'mapped', file, byteOffset: 0, byteLength: 2 * rows * columns },
    ...{ storedAs: 'BF16', shape: [rows, columns] },
  };
  const set = new WeightSet({ w: tensor }, { device: 'cuda' });
  const project = ({ x, w }) => ({ y: ops.linear(x, w) });
  const programs = await Promise.all(
    [1, 64].map((n) => compile(project, { x: float32(n, columns), w: set.spec('w') }, { device: 'cuda' })),
  );
  const before = await trimmed();
  let uploads;
  for (let round = 0; round < 2; round += 1) {
    uploads = await counted(async () => {
      for (const [i, n] of [1, 64].entries()) {
        const x = new Float32Array(n * columns);
        disposeAll(await programs[i].run({ x, w: set.value('w') }, {}, { release: true }));
      }
    });
  }
  const bytes = (await trimmed()) - before;
  for (const program of programs) await program.dispose();
  return { storedBytes: tensor.byteLength, bytes, uploads: uploads.HostToDevice };
}

/** Two programs are compiled while the GPU is taken by a run, which ends after them, or gives up. */
async function compiledMeanwhile() {
  let end;
  const order = [];
  const run = laneOf('cuda').run(() => new Promise((resolve) => (end = resolve)));
  const patience = setTimeout(() => end(order.push('run')), 30_000);
  const program = (factor) => ({ x }) => ({ y: engine.tf.mul(x, factor) });
  const made = await Promise.all(
    [2, 3].map((factor) => compile(program(factor), { x: float32(4) }, { device: 'cuda' })),
  );
  order.push('compiled');
  clearTimeout(patience);
  end(order.push('run'));
  await run;
  for (const each of made) await each.dispose();
  return order;
}

async function failure(work) {
  try {
    await work();
    return 'none';
  } catch ({ code, message, hint }) {
    return { code, message, hint };
  }
}

/** @param part `step` for one training step alone, `failure` for what it fails of. */
async function main(part) {
  if (part === 'step') return print({ step: await trainSteps('cuda', 1) });
  if (part === 'failure') return print(await failure(() => trainSteps('cuda', 1)));
  const folder = mkdtempSync(join(tmpdir(), 'cuda-'));
  const seen = {
    report,
    step: await trainSteps('cuda', 50),
    arena: await arenaMemory(),
    compiled: await compiledMeanwhile(),
    shapes: await shapes(),
    trainShapes: await trainShapes(),
    weights: await weights(folder),
    held: await heldState(),
    attention: await attentionMemory(),
    second: (await trainSteps('cuda:1', 2))[1],
    third: await failure(() => trainSteps('cuda:2', 1)),
    numbered: await failure(() => trainSteps('cpu:1', 1)),
  };
  rmSync(folder, { recursive: true });
  print(seen);
}

const print = (seen) => process.stdout.write(JSON.stringify(seen));

main(process.argv[2]).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
