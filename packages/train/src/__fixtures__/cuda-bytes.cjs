/**
 * `cuda-bytes.cjs FOLDER`: trains checkpoints in bfloat16 of some depths on a pretend GPU, and prints as one JSON object what is taken of
 * it after each step, when what is free was given back. An operation without a kernel on the GPU ends it.
 */
const { mkdirSync } = require('node:fs');
const { join } = require('node:path');
const { configureEnvironment, cudaReport, trimMemory } = require('@spatialsv/engine');
const { openCounters } = require('../../../engine/src/testing/pretend-cuda/counters.cjs');
const { openToyBackbone, writeToyCheckpoint } = require('../testing/toy-backbone.ts');
const { writeToyDataset } = require('../testing/toy-data.ts');
const { toyConfig } = require('../testing/toy-run.ts');
const { train } = require('../train.ts');

configureEnvironment({ cpuFallback: false });
const { liveBytes } = openCounters(cudaReport());
const STEPS = 3;
const DEPTHS = [2, 5];
const RANK = 4;
const SIZES = { hiddenSize: 64, headDim: 32, intermediateSize: 320 };
const RUNS = {
  full: { recompute: 'layer' },
  whole: { recompute: 'none' },
  lora: { recompute: 'layer', train: { llm: 'lora' }, lora: { rank: RANK } },
};

async function trimmed() {
  await trimMemory('cuda');
  return liveBytes();
}

/** Bytes after each step. */
async function bytesOf(folder, name, layers) {
  const model = join(folder, `model-${layers}`);
  const config = toyConfig(folder, `run-${name}-${layers}`, {
    ...{ device: 'cuda', precision: 'bfloat16', arm: 'text', source: undefined, batchSize: 1 },
    // After a step its state is read, and nothing else runs.
    ...{ checkpointEvery: 1, schedule: { steps: STEPS, warmupRatio: 0 }, ...RUNS[name] },
  });
  const seen = [];
  const backbone = { ...(await openToyBackbone(model)), save: async () => {} };
  const onStep = () => seen.push(trimmed());
  await train({ ...config, model }, { backbone, onStep });
  return Promise.all(seen);
}

async function main(folder) {
  await writeToyDataset(folder, 2);
  const seen = {};
  for (const layers of DEPTHS) {
    const model = join(folder, `model-${layers}`);
    mkdirSync(model);
    await writeToyCheckpoint(model, 1, { ...SIZES, layers }, 'BF16');
  }
  for (const name of Object.keys(RUNS)) {
    seen[name] = [];
    for (const layers of DEPTHS) seen[name].push(await bytesOf(folder, name, layers));
  }
  process.stdout.write(JSON.stringify({ sizes: SIZES, rank: RANK, depths: DEPTHS, seen }));
}

main(process.argv[2]).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
