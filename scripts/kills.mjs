/**
 * `node scripts/kills.mjs [--kills 100] [--seed N] [--config FILE]`: kills `spatialsv train` at random moments, resumes it each
 * time, and compares every file of the last checkpoint with that of a run that nobody killed. Build first. FILE has lines
 * of a training configuration that are added to the one below.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { writeDataset } from '@spatialsv/vfm-synthetic';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '100' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    config: { type: 'string' },
  },
});
const MAIN = new URL('../packages/cli/dist/main.js', import.meta.url).pathname;
const STEPS = 40;

/** Park and Miller: enough for moments, and repeatable. */
let state = Number(values.seed) % 2147483647 || 1;
const random = () => {
  state = (state * 48271) % 2147483647;
  return state / 2147483647;
};

const seconds = (ms) => (ms / 1000).toFixed(1);

const folder = mkdtempSync(join(tmpdir(), 'spatialsv-kills-'));

function prepare() {
  const size = ['--hidden-size', '64', '--layers', '4', '--attention-heads', '4'];
  const tiny = ['tiny', '--family', 'qwen2.5-vl', '--out', join(folder, 'model'), ...size];
  const made = spawnSync(process.execPath, [MAIN, ...tiny], { stdio: 'inherit' });
  if (made.status !== 0) throw new Error('no tiny checkpoint');
  return writeDataset({
    folder: join(folder, 'data'),
    ...{ scenes: 3, seed: 1, split: 'tinybench', width: 56, height: 56, views: 2 },
    ...{ questionsPerScene: 3, preface: false },
  });
}

function configure(out) {
  const file = join(folder, `${out}.yaml`);
  const lines = [
    'model: model',
    `out: ${out}`,
    'data: [{ format: mindcube, path: data/raw/MindCube_tinybench.jsonl, prompt: plain }]',
    'source: synthetic',
    'heads: { preset: tiny, outputScale: 4 }',
    'imageBudget: { maxPixels: 3136 }',
    'batchSize: 2',
    `schedule: { steps: ${STEPS} }`,
    'optimizer: { learningRates: { languageModel: 0.001, projector: 0.001, spatial: 0.001 } }',
    'checkpointEvery: 1',
    values.config === undefined ? '' : readFileSync(values.config, 'utf8'),
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
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

await prepare();
const started = performance.now();
await train(configure('straight'));
const expected = lastCheckpoint('straight').join('\n');
durations.start = performance.now() - started;
console.log(`seed ${values.seed}: a run of ${STEPS} steps takes ${seconds(durations.start)} s`);

let kills = 0;
for (let run = 1; kills < Number(values.kills); run++) {
  const out = `killed-${run}`;
  const file = configure(out);
  const before = kills;
  while (kills < Number(values.kills)) {
    if ((await train(file, randomMoment(out))) !== 'SIGKILL') break;
    kills++;
    if (stepsOf(out) >= STEPS) break;
  }
  await train(file);
  if (lastCheckpoint(out).join('\n') !== expected) {
    console.error(
      `run ${run}, after ${kills - before} kills: another last checkpoint; see ${folder}`,
    );
    process.exit(1);
  }
  rmSync(join(folder, out), { recursive: true });
  console.log(`run ${run}: bit-equal after ${kills - before} kills; ${kills} so far`);
}
rmSync(folder, { recursive: true });
