/**
 * Loss curves of the demo's training in bfloat16 beside float32, and of float32 beside itself from a start that hardly differs
 * (weight of the text loss 1.00001 instead of 1): docs/precision.md.
 *
 *   npm run demo                                                          # once: rooms and model
 *   node scripts/loss-curves.mjs spatialsv-demo --rate 2e-4               # a tenth of the demo's rates: steps do not part
 *   node scripts/loss-curves.mjs spatialsv-demo --steps 500 --seeds 7,8,9 # as the demo trains, curves averaged over seeds
 *
 * Run after `npm run build`. Prints a JSON line for each kind and term: `mean`, the difference of the means of all steps; `largest` and `typical`, of means
 * of 20 steps; `parts`, the first step that differs by 1 %. All in per cent of float32. Runs stay in DEMO/curves: what is there is
 * gone on with, or read.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { importBuilt, readArguments, wholeNumber } from './arguments.mjs';

const CLI = fileURLToPath(new URL('../packages/cli/dist/main.js', import.meta.url));
const SMOOTHED = 20;
const KINDS = {
  float32: () => ({}),
  bfloat16: () => ({ precision: 'bfloat16' }),
  'float32, 1.00001': ({ losses }) => ({
    losses: { ...losses, weights: { ...losses.weights, text: 1.00001 } },
  }),
};

const given = readArguments(
  import.meta.url,
  {
    steps: { type: 'string', default: '200' },
    rate: { type: 'string', default: '2e-3' },
    seeds: { type: 'string', default: '7' },
  },
  1,
);
const { values } = given;
const [demo] = given.positionals;
const recorded = path.join(demo ?? '', 'run/config.yaml');
if (demo === undefined || !existsSync(recorded)) {
  given.refuse(`expected the folder of a demo, found no ${recorded}; npm run demo makes one`);
}
const { loadTrainConfig } = await importBuilt('train/dist/index.js');
const base = await loadTrainConfig(recorded);
const rate = Number(values.rate);
if (!(rate > 0)) given.refuse(`--rate: expected a number above 0, found "${values.rate}"`);
const steps = wholeNumber(given, 'steps');
const seeds = values.seeds.split(',').map(Number);
if (!seeds.every(Number.isSafeInteger))
  given.refuse(`--seeds: expected whole numbers with commas, found "${values.seeds}"`);

/** Trains, or goes on. @returns losses by step. */
function curve(kind, seed) {
  const name = `${kind.replace(/\W+/g, '-')}-${values.rate}-${steps}-${seed}`;
  const out = path.resolve(demo, 'curves', name);
  const config = {
    ...base,
    ...{ seed, out, precision: 'float32', checkpointEvery: 50, keepCheckpoints: 1 },
    optimizer: {
      ...base.optimizer,
      learningRates: { languageModel: rate, projector: rate, spatial: rate },
    },
    schedule: { ...base.schedule, steps },
    ...KINDS[kind](base),
  };
  mkdirSync(path.dirname(out), { recursive: true });
  writeFileSync(`${out}.yaml`, JSON.stringify(config));
  const resume = existsSync(out) ? ['--resume'] : [];
  const { status } = spawnSync(process.execPath, [CLI, 'train', `${out}.yaml`, ...resume], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  if (status !== 0) process.exit(status ?? 1);
  const lines = readFileSync(path.join(out, 'metrics.jsonl'), 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line).losses);
}

const mean = (numbers) => numbers.reduce((sum, value) => sum + value, 0) / numbers.length;
/** Curve of a term, the mean over seeds. */
const averaged = (runs, term) => runs[0].map((_, i) => mean(runs.map((run) => run[i][term])));
const smooth = (numbers) =>
  numbers.slice(SMOOTHED - 1).map((_, i) => mean(numbers.slice(i, i + SMOOTHED)));
const percent = (value) => Number((100 * value).toPrecision(3));

function compare(found, expected) {
  const off = (a, b) => Math.abs(a - b) / Math.abs(b);
  const [a, b] = [smooth(found), smooth(expected)];
  const windows = a.map((value, i) => off(value, b[i]));
  const parts = found.findIndex((value, i) => off(value, expected[i]) > 0.01);
  return {
    mean: percent(mean(found) / mean(expected) - 1),
    largest: percent(Math.max(...windows)),
    typical: percent(mean(windows)),
    parts: parts === -1 ? null : parts + 1,
  };
}

const runs = Object.fromEntries(
  Object.keys(KINDS).map((kind) => [kind, seeds.map((seed) => curve(kind, seed))]),
);
const [reference, ...others] = Object.keys(KINDS);
for (const kind of others)
  for (const term of Object.keys(runs[reference][0][0])) {
    const [found, expected] = [runs[kind], runs[reference]].map((set) => averaged(set, term));
    console.log(JSON.stringify({ kind, term, rate, steps, seeds, ...compare(found, expected) }));
  }
