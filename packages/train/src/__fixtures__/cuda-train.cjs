/**
 * `cuda-train.cjs FOLDER OUT STEPS SETTINGS`: trains on the toy inputs of FOLDER on a pretend GPU, with settings as JSON, and prints what
 * was counted in each step as one JSON object. An operation without a kernel on the GPU ends it.
 */
const { configureEnvironment, cudaReport } = require('@spatialsv/engine');
const { openCounters } = require('../../../engine/src/testing/pretend-cuda/counters.cjs');
const { openToyBackbone } = require('../testing/toy-backbone.ts');
const { toySource } = require('../testing/toy-data.ts');
const { toyConfig } = require('../testing/toy-run.ts');
const { train } = require('../train.ts');

configureEnvironment({ cpuFallback: false });
const { counts, reset, liveBytes } = openCounters(cudaReport());
const NAMES = [
  ...['launch', 'product', 'convolution', 'HostToDevice', 'DeviceToHost', 'cudaMalloc', 'cudaGraphLaunch'],
  ...['cudaStreamBeginCapture', 'recorded copy of the host', 'recorded call of the host', 'refused while recording'],
];

async function main(folder, out, steps, settings) {
  const config = toyConfig(folder, out, {
    ...{ device: 'cuda', batchSize: 1, ...settings },
    schedule: { steps, warmupRatio: 0 },
  });
  const backbone = await openToyBackbone(config.model);
  const seen = [];
  const onStep = ({ losses }) => {
    seen.push({ ...counts(NAMES), live: liveBytes(), losses: Object.keys(losses).length });
    reset();
  };
  await train(config, { backbone, source: toySource, onStep });
  process.stdout.write(JSON.stringify(seen));
}

const [folder, out, steps, settings] = process.argv.slice(2);
main(folder, out, Number(steps), JSON.parse(settings)).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
