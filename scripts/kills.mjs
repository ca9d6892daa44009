/**
 * `node scripts/kills.mjs [--kills 100] [--seed N] [--variant NAME] [--steps 40]`: kills `spatialsv train` at random moments,
 * resumes it each time, and compares every file of the last checkpoint with that of a run that nobody killed. Build first.
 * Variants are full, mixed, lora and eight-bit; without one, all of them share the kills.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { importBuilt, readArguments, wholeNumber } from './arguments.mjs';

const given = readArguments(import.meta.url, {
  kills: { type: 'string', default: '100' },
  seed: { type: 'string', default: String(1 + (Date.now() % 1_000_000)) },
  variant: { type: 'string' },
  steps: { type: 'string', default: '40' },
});
const { values } = given;
const KILLS = wholeNumber(given, 'kills');
const SEED = wholeNumber(given, 'seed');
const { writeDataset } = await importBuilt('vfm-synthetic/dist/index.js');
const MAIN = new URL('../packages/cli/dist/main.js', import.meta.url).pathname;
const STEPS = wholeNumber(given, 'steps');

const DATA = { format: 'mindcube', path: 'data/raw/MindCube_tinybench.jsonl', prompt: 'plain' };
/** Keys of a training configuration by what they try, beside those of `configure`. */
const VARIANTS = {
  full: {},
  mixed: {
    data: [
      { ...DATA, part: [0, 0.5], ratio: 0.7 },
      { ...DATA, part: [0.5, 1], text: false, seed: 3 },
    ],
    adaptiveWeights: true,
    ema: { decay: 0.9 },
  },
  lora: { train: { llm: 'lora' }, lora: { rank: 4, alpha: 8, dropout: 0.1 }, recompute: 'layer' },
  'eight-bit': { optimizer: { stateBits: 8 } },
};
const unknown = values.variant !== undefined && !(values.variant in VARIANTS);
if (unknown)
  given.refuse(
    `--variant: expected ${Object.keys(VARIANTS).join(', ')}, found "${values.variant}"`,
  );

/** Park and Miller: enough for moments, and repeatable. */
let state = SEED % 2147483647 || 1;
const random = () => {
  state = (state * 48271) % 2147483647;
  return state / 2147483647;
};

const seconds = (ms) => (ms / 1000).toFixed(1);

const folder = mkdtempSync(join(tmpdir(), 'spatialsv-kills-'));

function prepare() {
  const size = ['--hidden-size', '32', '--layers', '2', '--attention-heads', '2'];
  const tiny = ['tiny', '--family', 'qwen2.5-vl', '--out', join(folder, 'model'), ...size];
  const made = spawnSync(process.execPath, [MAIN, ...tiny], { stdio: 'inherit' });
  if (made.status !== 0) throw new Error('no tiny checkpoint');
  return writeDataset({
    folder: join(folder, 'data'),
    ...{ scenes: 3, seed: 1, split: 'tinybench', width: 56, height: 56, views: 2 },
    ...{ questionsPerScene: 3, preface: false },
  });
}

function configure(variant, out) {
  const file = join(folder, `${out}.yaml`);
  const { optimizer, ...keys } = VARIANTS[variant];
  const learningRates = { languageModel: 0.001, projector: 0.001, spatial: 0.001 };
  const config = {
    ...{ model: 'model', out, data: [DATA], source: 'synthetic' },
    // Small programs: most of a short run is compiling them.
    heads: { preset: 'tiny', outputScale: 2, projectorChannels: 16, tasks: ['depth'] },
    ...{ signals: ['feat', 'dep'], layers: [1, 1, 2, 2] },
    imageBudget: { maxPixels: 3136 },
    ...{ batchSize: 2, schedule: { steps: STEPS }, checkpointEvery: 1 },
    optimizer: { learningRates, ...optimizer },
    ...keys,
  };
  // YAML contains JSON.
  writeFileSync(file, `${JSON.stringify(config, undefined, 2)}\n`);
  return file;
}

/**
 * @param killWhen resolves at the moment at which the process is to be killed; it trains to its end where absent.
 * @returns how the process ended: an exit code, or the signal that killed it.
 */
async function train(file, killWhen) {
  const arguments_ = [MAIN, 'train', file, '--resume', '--json'];
  const child = spawn(process.execPath, arguments_, { stdio: ['ignore', 'ignore', 'pipe'] });
  let told = '';
  child.stderr.on('data', (text) => {
    told += text;
  });
  const ended = new Promise((resolve) =>
    child.on('close', (code, signal) => resolve(code ?? signal)),
  );
  if (killWhen !== undefined) {
    await Promise.race([killWhen, ended]);
    child.kill('SIGKILL');
  }
  const end = await ended;
  if (end !== 0 && end !== 'SIGKILL') throw new Error(`the run failed (${end}):\n${told}`);
  return end;
}

/** Steps that a run has noted so far. */
function stepsOf(out) {
  const metrics = join(folder, out, 'metrics.jsonl');
  return existsSync(metrics) ? readFileSync(metrics, 'utf8').split('\n').length - 1 : 0;
}

/** Of the processes so far: from their start to their first step, and from step to step. */
const durations = { start: 0, step: 0 };
/** Share of the kills that meet a process before its first step. */
const AT_START = 0.2;
const LOOK_MS = 5;

/** A random moment of the rest of a run, however fast the machine is just now: at its start, or in or between its steps. */
async function randomMoment(out) {
  const started = performance.now();
  if (random() < AT_START) return sleep(durations.start * random());
  const done = stepsOf(out);
  const wanted = done + Math.floor((STEPS - done) * random());
  const part = random();
  let seen = { steps: done, at: started };
  // What a killed process noted after its last checkpoint is taken back: the count may fall before it rises.
  while (seen.steps <= wanted) {
    await sleep(LOOK_MS);
    const steps = stepsOf(out);
    if (steps <= seen.steps) continue;
    const now = performance.now();
    if (seen.at === started) durations.start = now - started;
    else durations.step = (now - seen.at) / (steps - seen.steps);
    seen = { steps, at: now };
  }
  await sleep(durations.step * part);
}

/** SHA-256 of every file of the last checkpoint. */
function lastCheckpoint(out) {
  const root = join(folder, out, 'checkpoints', `step-${STEPS}`);
  const files = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  return files.sort().map((file) => {
    const hash = createHash('sha256').update(readFileSync(file)).digest('hex');
    return `${hash}  ${relative(root, file)}`;
  });
}

/** Kills runs of a variant so many times. @returns how often it did. */
async function tryVariant(variant, wanted) {
  const started = performance.now();
  await train(configure(variant, 'straight'));
  const expected = lastCheckpoint('straight').join('\n');
  durations.start = performance.now() - started;
  console.log(`${variant}: a run of ${STEPS} steps takes ${seconds(durations.start)} s`);
  let kills = 0;
  for (let run = 1; kills < wanted; run++) {
    const out = `killed-${run}`;
    const done = await killedRun(configure(variant, out), out, wanted - kills);
    kills += done;
    if (lastCheckpoint(out).join('\n') !== expected)
      throw new Error(
        `${variant}, run ${run}, ${done} kills: another last checkpoint; see ${folder}`,
      );
    rmSync(join(folder, out), { recursive: true });
    console.log(`${variant}, run ${run}: bit-equal after ${done} kills; ${kills} so far`);
  }
  rmSync(join(folder, 'straight'), { recursive: true });
  return kills;
}

/** A run that is killed at most so often, and then trained to its end. @returns how often it was. */
async function killedRun(file, out, atMost) {
  let kills = 0;
  while (kills < atMost && (await train(file, randomMoment(out))) === 'SIGKILL') {
    kills++;
    if (stepsOf(out) >= STEPS) break;
  }
  await train(file);
  return kills;
}

const variants = values.variant === undefined ? Object.keys(VARIANTS) : [values.variant];
await prepare();
console.log(`seed ${SEED}`);
let total = 0;
for (const variant of variants)
  total += await tryVariant(variant, Math.ceil(KILLS / variants.length));
console.log(`${total} kills, all resumed, all bit-equal`);
rmSync(folder, { recursive: true });
