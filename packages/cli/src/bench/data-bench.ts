import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { createRandom } from '@spatialsv/core';
import { readMetrics, TrainingData, trainConfigSchema } from '@spatialsv/train';
import { writeDataset } from '@spatialsv/vfm-synthetic';
import { emit, peakRssMb } from './measure.js';

const BENCH = 'data';
const MIB = 2 ** 20;

/** Cases of `npm run bench -- data`. */
export const DATA_CASES: Readonly<Record<string, () => Promise<void>>> = {
  'rows-100k': () => benchRows('rows-100k', 100_000),
  'rows-1m': () => benchRows('rows-1m', 1_000_000),
  waiting: benchWaiting,
};

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'spatialsv-bench-'));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

// ---------------------------------------------------------------------------------------------- rows

/** Images that the rows share. */
const IMAGES = 1000;
const READ = 10_000;

/** Memory of a long data set, read for training, and of its samples in a drawn order. */
function benchRows(name: string, rows: number): Promise<void> {
  return inFolder(async (folder) => {
    await writeRows(folder, rows);
    const before = used();
    const started = performance.now();
    const data = await TrainingData.read(
      trainConfigSchema.parse({
        model: '.',
        out: '.',
        data: [{ path: join(folder, 'rows.jsonl') }],
      }),
    );
    const seconds = (performance.now() - started) / 1000;
    const after = used();
    const random = createRandom(0);
    const asked = performance.now();
    for (let i = 0; i < READ; i++) await data.at(random.integer(rows));
    const each = (performance.now() - asked) / READ;
    emit(BENCH, name, {
      ...{ rows, read_s: seconds, rows_per_s: rows / seconds },
      heap_bytes_per_row: (after.heapUsed - before.heapUsed) / rows,
      buffer_bytes_per_row: (after.arrayBuffers - before.arrayBuffers) / rows,
      heap_mb: after.heapUsed / MIB,
      sample_ms: each,
      peak_rss_mb: peakRssMb(),
    });
    await data.close();
  });
}

function used(): NodeJS.MemoryUsage {
  globalThis.gc?.();
  return process.memoryUsage();
}

async function writeRows(folder: string, rows: number): Promise<void> {
  for (let i = 0; i < IMAGES; i++) await writeFile(join(folder, `${i}.png`), '');
  const file = createWriteStream(join(folder, 'rows.jsonl'));
  for (let i = 0; i < rows; i++) {
    const images = [0, 1, 2, 3].map((view) => `${(i * 7 + view) % IMAGES}.png`);
    const question = `Based on these four images, what is to the left of object ${i}? A. Chair B. Window`;
    const row = { id: `among_group${i}`, images, question, answer: 'A. Chair' };
    if (!file.write(`${JSON.stringify(row)}\n`)) await once(file, 'drain');
  }
  file.end();
  await finished(file);
}

// ---------------------------------------------------------------------------------------------- waiting

const MAIN = fileURLToPath(new URL('../main.js', import.meta.url));
const STEPS = 12;
const BATCH = 2;

/** Seconds for which steps wait for their samples, each seen for the first time: prepared on the main thread, and beside it. */
function benchWaiting(): Promise<void> {
  return inFolder(async (folder) => {
    const inputs = await writeInputs(folder);
    for (const threads of [0, 1]) {
      const steps = await stepsOf(folder, inputs, threads);
      // The first ones compile programs.
      const later = steps.slice(2);
      const waited = later.map(({ waitedSeconds }) => waitedSeconds);
      emit(BENCH, `waiting-threads-${threads}`, {
        first_wait_ms: 1000 * steps[0]!.waitedSeconds,
        later_waits_ms: 1000 * mean(waited),
        longest_later_wait_ms: 1000 * Math.max(...waited),
        step_ms: 1000 * mean(later.map(({ samplesPerSecond }) => BATCH / samplesPerSecond)),
      });
    }
  });
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** A tiny model, and rooms of four views with their labels in a store. */
async function writeInputs(folder: string) {
  const model = join(folder, 'model');
  const store = join(folder, 'labels');
  const path = join(folder, 'rooms/raw/MindCube_train.jsonl');
  await writeDataset({
    ...{ folder: join(folder, 'rooms'), scenes: STEPS * BATCH, seed: 1, split: 'train' },
    ...{ width: 448, height: 448, views: 4, questionsPerScene: 1, preface: false },
  });
  command(['tiny', '--family', 'qwen2.5-vl', '--out', model]);
  command([
    'label',
    '--source',
    'synthetic',
    '--data',
    path,
    '--format',
    'mindcube',
    '--out',
    store,
  ]);
  const source = { name: 'synthetic', store };
  return { model, source, data: [{ path, format: 'mindcube' }] };
}

/** Trains in a process of its own. @returns its metrics. */
async function stepsOf(folder: string, inputs: object, prepareThreads: number) {
  const out = join(folder, `run-${prepareThreads}`);
  const file = join(folder, `run-${prepareThreads}.yaml`);
  const config = {
    ...{ ...inputs, out, prepareThreads, heads: { preset: 'tiny', outputScale: 4 } },
    ...{ batchSize: BATCH, schedule: { steps: STEPS }, prepareAhead: 4, checkpointEvery: 0 },
  };
  await writeFile(file, JSON.stringify(config));
  command(['train', file]);
  return readMetrics(out);
}

function command(parameters: readonly string[]): void {
  const { status, stderr } = spawnSync(process.execPath, [MAIN, ...parameters], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${parameters.join(' ')}: ${stderr}`);
}
