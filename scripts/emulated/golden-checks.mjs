import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { largest } from './compare.mjs';
import { compiled, folderOf } from './compiled.mjs';

const { compile, float32, int32, tf } = await compiled('engine', 'index.js');
const { parseHeadsConfig } = await compiled('core', 'heads/heads-config.js');
const { predictGeometry } = await compiled('core', 'heads/predict-geometry.js');
const { geometryLosses } = await compiled('core', 'losses/geometry-losses.js');
const { lossConfigSchema } = await compiled('core', 'losses/loss-config.js');
const { filled, readGolden, wideWeight } = await compiled('core', 'testing/index.js');
const { float32Source, saveWeights } = await compiled('core', 'kit.js');
const { qwen25Vl } = await compiled('adapter-qwen25vl', 'plugin.js');
const { parseQwen25VlConfig, qwen25VlShapes } = await compiled(
  'adapter-qwen25vl',
  'qwen25vl-config.js',
);

const { AdamwOptimizer } = await compiled('train', 'optimizer/adamw-optimizer.js');

const VALUES = { rtol: 1e-5, atol: 1e-5 };
const gradientTolerance = (expected) => ({ rtol: 1e-4, atol: 1e-5 * largest(expected) });
const mapNames = (names, make) => Object.fromEntries(names.map((name) => [name, make(name)]));

/** Compiles a program, runs it once, and gives its outputs as arrays. */
async function run(program, inputs) {
  const names = Object.keys(inputs);
  const spec = ({ data, shape }) => (data instanceof Int32Array ? int32 : float32)(...shape);
  const specs = mapNames(names, (name) => spec(inputs[name]));
  const ready = await compile(program, specs, { name: 'check' });
  const found = await ready.run(mapNames(names, (name) => inputs[name].data));
  const results = {};
  for (const [name, tensor] of Object.entries(found)) results[name] = (await tensor.read()).slice();
  await ready.dispose();
  return results;
}

/** Σ of gradients of a scalar by some inputs, named `gradient.NAME`. */
function gradientsBy(names, given, scalar) {
  const f = (...values) =>
    scalar({ ...given, ...Object.fromEntries(names.map((name, i) => [name, values[i]])) });
  const gradients = tf.grads(f)(names.map((name) => given[name]));
  return Object.fromEntries(names.map((name, i) => [`gradient.${name}`, gradients[i]]));
}

/** DPT heads, values and gradients by parameters and taps, beside PyTorch. */
export async function checkHeads(comparisons, name) {
  const golden = await readGolden(path.join(folderOf('core/src/heads'), '__golden__', name));
  const { config, channels, views, grid, size, parameters } = golden.info;
  const fill = (key, shape, factor = 1) => ({
    data: filled(key, shape).map((value) => factor * value),
    shape,
  });
  const inputs = mapNames(Object.keys(parameters), (key) => fill(key, parameters[key]));
  channels.forEach((count, i) => {
    inputs[`tap.${i}`] = fill(`tap.${i}`, [views, ...grid, count], 4);
  });
  const predict = (given) =>
    predictGeometry(
      parseHeadsConfig(config),
      given,
      channels.map((_, i) => given[`tap.${i}`]),
      { height: size[0], width: size[1] },
    );
  const weighted = (given) =>
    tf.addN(
      Object.entries(predict(given)).map(([key, value]) =>
        tf.mean(tf.mul(value, tf.tensor(filled(`outputs.${key}`, value.shape), value.shape))),
      ),
    );
  const byWhat = golden.names.flatMap((key) => key.match(/^gradient\.(.*)$/)?.slice(1) ?? []);
  const values = await run((given) => ({ ...predict(given) }), inputs);
  const gradients = await run((given) => gradientsBy(byWhat, given, weighted), inputs);
  for (const key of golden.names) {
    const expected = golden.float32(key);
    const tolerance = key.startsWith('gradient.') ? gradientTolerance(expected) : VALUES;
    const found = key.startsWith('gradient.') ? gradients[key] : values[key];
    comparisons.numbers(`heads ${name}: ${key}`, found, expected, tolerance);
  }
}

const PREDICTIONS = [
  'depth',
  'depthConfidence',
  'rays',
  'rayConfidence',
  'points',
  'pointConfidence',
];
const LABELS = {
  depth: 'depthLabel',
  mask: 'mask',
  rays: 'raysLabel',
  rayMask: 'rayMask',
  points: 'pointsLabel',
  pointMask: 'mask',
};

/** Losses, and their gradients by every prediction and confidence, beside PyTorch. */
export async function checkLosses(comparisons, name) {
  const golden = await readGolden(path.join(folderOf('core/src/losses'), '__golden__', name));
  const read = (key) => ({ data: golden.float32(key), shape: golden.shape(key) });
  const labels = Object.fromEntries(
    Object.entries(LABELS).map(([key, stored]) => [`label.${key}`, read(stored)]),
  );
  const losses = (given) =>
    geometryLosses(
      lossConfigSchema.parse(golden.info.config),
      mapNames(PREDICTIONS, (key) => given[key]),
      mapNames(Object.keys(LABELS), (key) => given[`label.${key}`]),
    );
  const total = (given) => {
    const { lossDepth, lossRay, lossPoint } = losses(given);
    return tf.addN([lossDepth, lossRay, lossPoint]);
  };
  const inputs = { ...mapNames(PREDICTIONS, read), ...labels };
  const found = await run((given) => ({ ...losses(given) }), inputs);
  const gradients = await run((given) => gradientsBy(PREDICTIONS, given, total), inputs);
  for (const [key, value] of Object.entries(golden.info.values)) {
    comparisons.numbers(`losses ${name}: ${key}`, found[key], [value], { rtol: 1e-5, atol: 1e-6 });
  }
  for (const key of PREDICTIONS.map((prediction) => `gradient.${prediction}`)) {
    const expected = golden.float32(key);
    comparisons.numbers(
      `losses ${name}: ${key}`,
      gradients[key],
      expected,
      gradientTolerance(expected),
    );
  }
}

/** Blocks of the decoder, beside transformers: hidden states of one layer to those of the next. */
export async function checkDecoderBlocks(comparisons) {
  const source = path.join(folderOf('adapter-qwen25vl/src'), '__golden__');
  const golden = await readGolden(path.join(source, 'tied'));
  const folder = await mkdtemp(path.join(tmpdir(), 'emulated-'));
  try {
    const weights = await makeQwenCheckpoint(path.join(source, 'checkpoint'), folder);
    const { decoder } = await qwen25Vl.open(folder);
    const positions = { data: golden.int32('positions'), shape: golden.shape('positions') };
    for (const layer of [0, 1]) {
      const { kind, names } = decoder.layers[layer];
      const parameters = Object.entries(names).map(([free, full]) => [free, weights[full]]);
      const state = `hidden.${layer}`;
      const x = { data: golden.float32(state), shape: golden.shape(state) };
      const { y } = await run(
        ({ x: rows, positions: places, ...given }) => ({
          y: decoder.block(kind, given, rows, { positions: places }).x,
        }),
        { ...Object.fromEntries(parameters), x, positions },
      );
      const expected = golden.float32(`hidden.${layer + 1}`);
      const tolerance = { rtol: 0, atol: 1e-4 * largest(expected) };
      comparisons.numbers(`decoder block ${layer}`, y, expected, tolerance);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The first step of AdamW with moments of 8 and of 32 bits, beside the formula of 8 bits in PyTorch. */
export async function checkOptimizer(comparisons) {
  const golden = await readGolden(
    path.join(folderOf('train/src'), '__golden__', 'quantised-adamw'),
  );
  const { sizes, halvings, settings, tolerance } = golden.info;
  const { betas, eps: epsilon, weight_decay: weightDecay, lr, scale } = settings;
  for (const stateBits of [8, 32]) {
    const parameters = Object.entries(sizes).map(([name, shape]) => [
      name,
      { shape, group: 'spatial', data: filled(`start.${name}`, shape) },
    ]);
    const config = { betas, epsilon, weightDecay, stateBits };
    const optimizer = await AdamwOptimizer.create(Object.fromEntries(parameters), config, 'cpu');
    for (const [name, shape] of Object.entries(sizes)) {
      const [magnitude, mean] = [filled(`size.${name}`, shape), filled(`mean.${name}`, shape)];
      const gradient = filled(`noise.0.${name}`, shape).map(
        (noise, i) =>
          Math.fround(mean[i] + noise) *
          2 ** -Math.floor(halvings[name] * 2 * Math.abs(magnitude[i])),
      );
      await optimizer.accumulators[name].write(gradient);
    }
    await optimizer.step(1, { 'language-model': 0, projector: 0, spatial: lr }, scale);
    for (const name of Object.keys(sizes)) {
      // Before the first step all moments are zero, whatever they take.
      const found = await optimizer.parameters[name].read();
      const limits = { rtol: 0, atol: tolerance.values };
      const expected = golden.float32(`after.1.${name}`);
      comparisons.numbers(`AdamW ${stateBits} bits ${name}`, found, expected, limits);
    }
    await optimizer.dispose();
  }
}

/** Writes the checkpoint of the golden case; its weights are made of name and index, as its generator makes them. */
async function makeQwenCheckpoint(from, folder) {
  await cp(from, folder, { recursive: true });
  const config = JSON.parse(await readFile(path.join(folder, 'config.json'), 'utf8'));
  const tied = { ...config, tie_word_embeddings: true };
  await writeFile(path.join(folder, 'config.json'), JSON.stringify(tied));
  const shapes = Object.entries(qwen25VlShapes(parseQwen25VlConfig(tied)));
  const weights = Object.fromEntries(
    shapes.map(([name, shape]) => [name, { data: wideWeight(name, shape), shape }]),
  );
  const sources = Object.entries(weights).map(([name, { data, shape }]) => [
    name,
    float32Source(data, shape),
  ]);
  await saveWeights(folder, new Map(sources));
  return weights;
}
