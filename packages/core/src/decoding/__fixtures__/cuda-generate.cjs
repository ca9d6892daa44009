/**
 * Generates on a pretend GPU from a checkpoint in 16 bits, once in each precision, and prints what was counted as one JSON
 * object. An operation without a kernel on the GPU ends it.
 */
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { configureEnvironment, ProgramCache } = require('@spatialsv/engine');
const { cudaReport, trimMemory } = require('../../../../engine/src/executor/index.ts');
const { openCounters } = require('../../../../engine/src/testing/pretend-cuda/counters.cjs');
const { createDecoder, decoderShapes } = require('../../nn/index.ts');
const { CompiledDecoder } = require('../compiled-decoder.ts');
const { padSequence } = require('../sequence-layout.ts');

configureEnvironment({ cpuFallback: false });
const { counted, liveBytes } = openCounters(cudaReport());
const NAMES = ['HostToDevice', 'DeviceToHost', 'cudaMalloc', 'product', 'product bfloat16', 'product float16'];

/** Weights weigh more than all else that generation keeps. */
const CONFIG = {
  ...{ hiddenSize: 128, layers: 3, heads: 4, kvHeads: 2, headDim: 32, intermediateSize: 512 },
  ...{ vocabularySize: 4096, rmsNormEps: 1e-6, qkvBias: true, qkNorm: false, tieHead: true },
  rope: { theta: 1e4 },
};
const WEIGHTS = { model: 'model', head: 'lm_head.weight' };
const PROMPT = 20;
const CAPACITIES = [32, 64, 96];
const TOKENS = 10;

/** Zeros of a checkpoint, of which each tensor has a place of its own. */
function writeWeights(file, storedAs) {
  const tensors = {};
  let end = 0;
  for (const [name, shape] of Object.entries(decoderShapes(CONFIG, WEIGHTS))) {
    const byteLength = 2 * shape.reduce((a, b) => a * b, 1);
    tensors[name] = { kind: 'mapped', file, storedAs, shape, byteOffset: end, byteLength };
    end += byteLength;
  }
  writeFileSync(file, new Uint8Array(end));
  return { tensors, bytes: end };
}

async function trimmed() {
  await trimMemory('cuda');
  return liveBytes();
}

const range = (from, to) => Int32Array.from({ length: to - from }, (_, i) => from + i);

/** A prompt, and tokens after it, for which the cache grows. */
async function generate(precision, { tensors, bytes: storedBytes }) {
  const before = await trimmed();
  const programs = new ProgramCache(64);
  const sizes = { ...CONFIG, positionRows: 1 };
  const decoder = new CompiledDecoder({
    ...{ decoder: createDecoder(CONFIG, WEIGHTS), sizes, weights: tensors, programs },
    ...{ device: 'cuda', precision },
  });
  const seen = { storedBytes, tokens: [], grown: [] };
  let cache = decoder.createCache(CAPACITIES[0]);
  const places = range(0, PROMPT);
  const prompt = { inputIds: places, positions: places, positionRows: 1, nextPosition: PROMPT, spliceIndex: places };
  seen.prompt = await counted(NAMES, () => decoder.prefill(padSequence(prompt), new Float32Array(0), cache, places));
  let taken = PROMPT;
  for (const capacity of CAPACITIES) {
    if (capacity > cache.capacity)
      seen.grown.push(await counted(NAMES, async () => {
        cache = await decoder.growCache(cache, capacity);
      }));
    const tokens = [];
    for (let i = 0; i < TOKENS; i += 1) {
      const at = range(taken, taken + 1);
      const next = { inputIds: Int32Array.of(1), positions: at, slots: at, seen: range(0, taken) };
      const counts = await counted(NAMES, () => decoder.extend(cache, [next]));
      tokens.push({ ...counts, live: liveBytes() });
      taken += 1;
    }
    seen.tokens.push(tokens);
  }
  const cacheBytes = 4 * 2 * CONFIG.layers * CONFIG.kvHeads * cache.capacity * CONFIG.headDim;
  seen.weightBytes = (await trimmed()) - before - cacheBytes;
  cache.dispose();
  await programs.dispose();
  seen.leftBytes = (await trimmed()) - before;
  return seen;
}

async function main() {
  const folder = mkdtempSync(join(tmpdir(), 'cuda-generate-'));
  const stored = Object.fromEntries(
    ['BF16', 'F16'].map((type) => [type, writeWeights(join(folder, type), type)]),
  );
  const seen = {
    float32: await generate('float32', stored.BF16),
    bfloat16: await generate('bfloat16', stored.BF16),
    float16: await generate('float16', stored.F16),
  };
  rmSync(folder, { recursive: true });
  process.stdout.write(JSON.stringify(seen));
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
