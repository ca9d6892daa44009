/**
 * `cuda-train.cjs FOLDER OUT STEPS RECOMPUTE`: trains on the toy inputs of FOLDER on a pretend GPU and prints what was counted in
 * each step as one JSON object. An operation without a kernel on the GPU ends it.
 */
const { createRequire } = require('node:module');
const { configureEnvironment, cudaReport } = require('@spatialsv/engine');
const { openToyBackbone } = require('../testing/toy-backbone.ts');
const { toySource } = require('../testing/toy-data.ts');
const { toyConfig } = require('../testing/toy-run.ts');
const { train } = require('../train.ts');

// A dependency of the engine.
const koffi = createRequire(require.resolve('@spatialsv/engine'))('koffi');
configureEnvironment({ cpuFallback: false });
const { libraries } = cudaReport();
const runtime = koffi.load(libraries.find(({ name }) => name.startsWith('libcudart')).file);
const calls = runtime.func('long pretend_calls(const char *name)');
const reset = runtime.func('void pretend_reset()');
const live = runtime.func('long pretend_live_bytes()');
const NAMES = ['launch', 'product', 'convolution', 'HostToDevice', 'DeviceToHost', 'cudaMalloc'];

async function main(folder, out, steps, recompute) {
  const config = toyConfig(folder, out, {
    ...{ device: 'cuda', recompute, batchSize: 1 },
    schedule: { steps, warmupRatio: 0 },
  });
  const backbone = await openToyBackbone(config.model);
  const seen = [];
  const onStep = ({ losses }) => {
    const counts = Object.fromEntries(NAMES.map((name) => [name, calls(name)]));
    seen.push({ ...counts, live: live(), losses: Object.keys(losses).length });
    reset();
  };
  await train(config, { backbone, source: toySource, onStep });
  process.stdout.write(JSON.stringify(seen));
}

const [folder, out, steps, recompute] = process.argv.slice(2);
main(folder, out, Number(steps), recompute).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
