import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createRandom, LabelStore } from '@spatialsv/core';
import { sampleStoredLabels } from '@spatialsv/core/testing';
import { emit, median, peakRssMb } from './measure.js';

const BENCH = 'store';

/** Cases of `npm run bench -- store`. */
export const STORE_CASES: Readonly<Record<string, () => Promise<void>>> = {
  'store-4x4x384': () => benchStore('store-4x4x384', [4, 4, 384]),
  'store-4x4x2048': () => benchStore('store-4x4x2048', [4, 4, 2048]),
  'store-16x16x768': () => benchStore('store-16x16x768', [16, 16, 768]),
  'store-kills': benchKills,
};

// ---------------------------------------------------------------------------------------------- speed

const VIEWS = 4;
const SETS = 240;
const ROUNDS = 5;
/** Writes under way at once, as a labeller that does not wait for the disk has them. */
const IN_FLIGHT = 8;
/** Different labels that the keys share: making them costs more than storing them. */
const DIFFERENT = 8;

type Grid = readonly [h: number, w: number, channels: number];

/** Label sets of 4 views of 56 × 56 with features a second: written (on the disk) and read (checked and decoded). */
async function benchStore(name: string, grid: Grid): Promise<void> {
  const labels = Array.from({ length: DIFFERENT }, (_, seed) =>
    sampleStoredLabels(seed, { views: VIEWS, height: 56, width: 56, grid }),
  );
  const written: number[] = [];
  const read: number[] = [];
  const bytes: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1)
    await inFolder(async (folder) => {
      const store = await LabelStore.open(folder);
      written.push(await perSecond(() => writeAll(store, labels)));
      read.push(await perSecond(async () => readAll(store)));
      bytes.push(store.summary(keyOf(0))!.bytes);
      await store.close();
    });
  emit(BENCH, name, {
    sets: SETS,
    written_sets_per_s: median(written),
    read_sets_per_s: median(read),
    value_kb_per_view: bytes[0]! / VIEWS / 1024,
    float32_kb_per_view: (4 * (2 * 56 * 56 + grid[0] * grid[1] * grid[2]) + 56 * 56 + 84) / 1024,
    peak_rss_mb: peakRssMb(),
  });
}

const keyOf = (index: number): string => index.toString(16).padStart(64, '0');

type Sample = ReturnType<typeof sampleStoredLabels>;

async function writeAll(store: LabelStore, labels: readonly Sample[]): Promise<void> {
  let next = 0;
  const work = async () => {
    while (next < SETS) {
      const index = next++;
      await store.write(keyOf(index), labels[index % labels.length]!.stored);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, work));
}

function readAll(store: LabelStore): void {
  for (const key of store.keys()) store.read(key);
}

async function perSecond(action: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await action();
  return (1000 * SETS) / (performance.now() - started);
}

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'spatialsv-bench-'));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

// ---------------------------------------------------------------------------------------------- kills

const KILLS = 50;
const SEEDS_PER_KILL = 1_000_000;
/** Milliseconds from a writer's first report to its end, at most. */
const LONGEST_LIFE = 300;

/** Two writers at once on one store; one of them is killed at a random moment, fifty times, and a new one comes. */
async function benchKills(): Promise<void> {
  await inFolder(async (folder) => {
    const random = createRandom(Date.now());
    const reported: number[] = [];
    let other = startWriter(folder, 0);
    for (let kill = 1; kill <= KILLS; kill += 1) {
      const fresh = startWriter(folder, kill * SEEDS_PER_KILL);
      await fresh.reported;
      await new Promise((resolve) => setTimeout(resolve, random.uniform(0, LONGEST_LIFE)));
      reported.push(...(await killWriter(other)));
      other = fresh;
    }
    reported.push(...(await killWriter(other)));
    await report(folder, reported);
  });
}

async function report(folder: string, reported: readonly number[]): Promise<void> {
  const store = await LabelStore.open(folder);
  const keys = [...store.keys()];
  const damaged = keys.filter((key) => store.verify(key) !== undefined);
  const lost = reported.filter((seed) => !store.has(sampleStoredLabels(seed).key));
  emit(BENCH, 'store-kills', {
    kills: KILLS + 1,
    reported_sets: reported.length,
    stored_sets: keys.length,
    lost_sets: lost.length,
    damaged_sets: damaged.length,
    file_mb: (await stat(path.join(folder, 'data.mdb'))).size / 2 ** 20,
  });
  await store.close();
  if (lost.length + damaged.length > 0) throw new Error('the label store lost or damaged labels');
}

type Writer = ReturnType<typeof startWriter>;

function startWriter(folder: string, first: number) {
  const script = fileURLToPath(new URL('./store-writer.js', import.meta.url));
  const child = spawn(process.execPath, [script, folder, String(first)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const seeds: number[] = [];
  const lines = createInterface({ input: child.stdout }).on('line', (line) => {
    seeds.push(Number(line));
  });
  const ended = Promise.all([once(lines, 'close'), once(child, 'close')]);
  return { child, seeds, reported: Promise.race([once(lines, 'line'), ended]), ended };
}

/** @throws Error when the writer had ended by itself, or had written nothing: that would be no kill. */
async function killWriter({ child, seeds, ended }: Writer): Promise<readonly number[]> {
  child.kill('SIGKILL');
  await ended;
  if (child.signalCode === 'SIGKILL' && seeds.length > 0) return seeds;
  throw new Error(`a writer ended by itself (code ${child.exitCode}) after ${seeds.length} sets`);
}
