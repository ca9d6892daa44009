/**
 * `node scripts/kills.mjs [--kills 100] [--seed N] [--config FILE]`: kills `spatialsv train` at random moments, resumes it each
 * time, and compares every file of the last checkpoint with that of a run that nobody killed. Build first. FILE has lines
 * of a training configuration that are added to the one below.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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

/** @returns how the process ended: an exit code, or the signal that killed it. */
async function train(file, killAfterMs) {
  const arguments_ = [MAIN, 'train', file, '--resume', '--json'];
  const child = spawn(process.execPath, arguments_, { stdio: ['ignore', 'ignore', 'pipe'] });
  let told = '';
  child.stderr.on('data', (text) => {
    told += text;
  });
  const ended = new Promise((resolve) =>
    child.on('close', (code, signal) => resolve(code ?? signal)),
  );
  if (killAfterMs !== undefined) {
    await Promise.race([sleep(killAfterMs), ended]);
    child.kill('SIGKILL');
  }
  const end = await ended;
  if (end !== 0 && end !== 'SIGKILL') throw new Error(`the run failed (${end}):\n${told}`);
  return end;
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
const runMs = performance.now() - started;
console.log(`seed ${values.seed}: a run of ${STEPS} steps takes ${(runMs / 1000).toFixed(1)} s`);

let kills = 0;
for (let run = 1; kills < Number(values.kills); run++) {
  const file = configure(`killed-${run}`);
  // A process that is killed later than it needs for the rest of the run has ended by itself.
  while (kills < Number(values.kills) && (await train(file, runMs * random())) === 'SIGKILL')
    kills++;
  await train(file);
  if (lastCheckpoint(`killed-${run}`).join('\n') !== expected) {
    console.error(`run ${run}, after ${kills} kills: another last checkpoint; see ${folder}`);
    process.exit(1);
  }
  rmSync(join(folder, `killed-${run}`), { recursive: true });
  console.log(`run ${run}: bit-equal; ${kills} kills so far`);
}
rmSync(folder, { recursive: true });
