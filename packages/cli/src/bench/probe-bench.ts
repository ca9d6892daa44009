import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LabelStore, labelViewSets, openStoredLabels, type ViewSet } from '@spatialsv/core';
import { BackboneRunner } from '@spatialsv/eval';
import {
  extractFeatures,
  FeatureStore,
  ImageFiles,
  identifySets,
  PROBE_TRAINING,
  type ProbeRunRequest,
  parseSites,
  runProbes,
} from '@spatialsv/train';
import { syntheticSource, writeDataset } from '@spatialsv/vfm-synthetic';
import { composePlugins } from '../composition.js';
import { openModel } from '../model.js';
import { stateReader } from '../probe/read-states.js';
import { LARGE_SIZES, largeCheckpoint } from './large-checkpoint.js';
import { type Cost, costOf, emit, peakRssMb } from './measure.js';
import { benchProbeOrder } from './probe-order-bench.js';

/** Twelve sites of every part of the model. */
const SITES: Readonly<Record<string, string>> = {
  'large-100m': 'vision:0,1,2,4,projector,embedding,layer:1,2,3,5,7,final',
  'large-1b': 'vision:8,16,24,32,projector,embedding,layer:3,6,9,12,15,final',
  'large-3b': 'vision:8,16,24,32,projector,embedding,layer:6,12,18,24,30,final',
};
const SETS = 5;
const IMAGE_PX = 224;
const HELD_OUT = 0.34;
/** The aim speaks of so many view sets. */
const AIM_SETS = 500;
/** Steps between which the time of one is taken. */
const TIMED_STEPS = 20;

/**
 * Probing twelve sites beside one extraction. A few view sets are measured, and what grows with their number is scaled to 500; steps
 * and compiling are counted as a run takes them.
 */
async function benchProbe(size: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'spatialsv-bench-'));
  try {
    await measure(size, folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function measure(size: string, folder: string): Promise<void> {
  const opened = await open(size, folder);
  const extraction = await extractionCost(opened);
  const probes = await probeRuns(opened);
  report(size, opened, extraction, probes);
  await opened.labels.dispose();
}

/** Rooms with labels, and a model whose states of them are probed. */
async function open(size: string, folder: string) {
  const labelled = await writeLabelledRooms(folder);
  const labels = await openStoredLabels(labelled.store);
  const files = new ImageFiles();
  const sets = await identifySets({ sets: labelled.sets, files, labels });
  const model = await largeCheckpoint(size, LARGE_SIZES[size]!);
  const backbone = await openModel(model, await composePlugins(folder), {
    maxPixels: IMAGE_PX ** 2,
  });
  const sites = parseSites(SITES[size]!, backbone.config);
  const identity = { weights: size, prompt: '', settings: {}, storedAs: 'float16' as const };
  const store = await FeatureStore.open(join(folder, 'features'), identity);
  return { folder, labels, files, sets, backbone, sites, store };
}

type Opened = Awaited<ReturnType<typeof open>>;

/** Of one view set. */
async function extractionCost({ backbone, ...rest }: Opened): Promise<Cost> {
  const { sets, sites, store, files } = rest;
  const runner = new BackboneRunner(backbone);
  await runner.load();
  const readStates = stateReader(backbone, runner);
  const extract = (some: Opened['sets']) =>
    extractFeatures({ sets: some, sites, pixels: false, store, files, backbone, readStates });
  // The first set compiles the programs.
  await extract(sets.slice(0, 1));
  const cost = scaled(await costOf(() => extract(sets.slice(1))), 1 / (sets.length - 1));
  await runner.dispose();
  return cost;
}

/** A run of one step, the same with three seeds, and one of more steps. */
async function probeRuns({ folder, store, labels, sets, sites }: Opened) {
  let runs = 0;
  const probes = (steps: number, seeds: number) => {
    runs += 1;
    const request: ProbeRunRequest = {
      folder: join(folder, `probes-${runs}`),
      ...{ store, labels, sets, subjects: sites, tasks: ['depth'], kind: 'dpt' },
      training: { ...PROBE_TRAINING, steps },
      heldOut: HELD_OUT,
      seeds: Array.from({ length: seeds }, (_, seed) => seed),
      device: 'cpu',
    };
    return costOf(() => runProbes(request));
  };
  const single = await probes(1, 1);
  const further = await probes(1, 3);
  return { single, further, timed: await probes(1 + TIMED_STEPS, 1) };
}

function report(
  size: string,
  { sets, sites, files }: Opened,
  extraction: Cost,
  runs: Awaited<ReturnType<typeof probeRuns>>,
): void {
  const wall = probeCost('wall', runs, sets.length);
  const cpu = probeCost('cpu', runs, sets.length);
  emit('inspect', size === 'large-1b' ? 'probe' : `probe-${size}`, {
    view_sets: sets.length,
    sites: sites.length,
    images: new Set(sets.flatMap(({ hashes }) => hashes)).size,
    image_file_reads: files.reads,
    extraction_s_a_set: extraction.wall,
    extraction_cpu_s_a_set: extraction.cpu,
    step_ms: (1000 * wall.step) / sites.length,
    step_cpu_ms: (1000 * cpu.step) / sites.length,
    other_cpu_ms_a_set_and_site: (1000 * cpu.perSet) / sites.length,
    compiling_s: wall.compiling,
    ratio_to_one_extraction_500_sets: 1 + wall.whole / (AIM_SETS * extraction.wall),
    cpu_ratio_500_sets: 1 + cpu.whole / (AIM_SETS * extraction.cpu),
    aim_ratio: 1.2,
    peak_rss_mb: peakRssMb(),
  });
}

const scaled = ({ wall, cpu }: Cost, factor: number): Cost => ({
  wall: wall * factor,
  cpu: cpu * factor,
});

/** Costs of the probes of all sites, from runs of one step, of one step with two more seeds, and of more steps. */
function probeCost(
  kind: keyof Cost,
  runs: Readonly<Record<'single' | 'further' | 'timed', Cost>>,
  sets: number,
) {
  const [single, further, timed] = [runs.single[kind], runs.further[kind], runs.timed[kind]];
  // A further seed compiles nothing: statistics of the channels, one step, and measuring.
  const seed = (further - single) / 2;
  const perSet = seed / sets;
  const compiling = Math.max(0, single - seed);
  const step = (timed - single) / TIMED_STEPS;
  const whole = compiling + AIM_SETS * perSet + PROBE_TRAINING.steps * step;
  return { perSet, compiling, step, whole };
}

/** Rooms of four views each, and their labels. */
async function writeLabelledRooms(folder: string) {
  const rooms = join(folder, 'rooms');
  const [width, height] = [IMAGE_PX, IMAGE_PX];
  await writeDataset({
    ...{ folder: rooms, scenes: SETS, seed: 3, split: 'bench', width, height },
    ...{ questionsPerScene: 1, motions: ['among'] },
  });
  const parent = join(rooms, 'other_all_image', 'among');
  const sets: ViewSet[] = [];
  for (const room of (await readdir(parent)).sort()) {
    const names = (await readdir(join(parent, room))).filter((name) => name.endsWith('.png'));
    sets.push({ images: names.sort().map((name) => join(parent, room, name)) });
  }
  const store = join(folder, 'labels');
  const opened = await LabelStore.open(store);
  const labeller = await syntheticSource.open();
  await labelViewSets({ sets, labeller, store: opened, height, width });
  await opened.close();
  return { sets, store };
}

/** Cases of the bench `inspect` that measure probes. */
export const PROBE_CASES: Readonly<Record<string, () => Promise<void>>> = {
  probe: () => benchProbe('large-1b'),
  'probe-large-100m': () => benchProbe('large-100m'),
  'probe-large-3b': () => benchProbe('large-3b'),
  'probe-order': benchProbeOrder,
};
