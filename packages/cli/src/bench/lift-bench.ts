import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type PreparedInputsV1,
  pointsFromRays,
  readSpatialCheckpoint,
  type SpatialCheckpoint,
  siteOfLayer,
  writeSpatialCheckpoint,
} from '@spatialsv/core';
import { BackboneRunner, type GeometryMaps } from '@spatialsv/eval';
import { camerasFromRays, liftGeometry } from '@spatialsv/inspect';
import { createScene, renderView } from '@spatialsv/vfm-synthetic';
import { composePlugins } from '../composition.js';
import { HEAD_CONVENTIONS } from '../lifts/heads.js';
import { findAdapter, openModel } from '../model.js';
import { type Cost, costOf, emit, median } from './measure.js';
import { cachedFolder } from './random-checkpoint.js';

interface Model {
  readonly hiddenSize: number;
  readonly layers: number;
  readonly heads: number;
}

/** Decoders by the name of their case: one smaller than any that is in use, and that of the paper's smallest model, InternVL3-1B. */
const MODELS: Readonly<Record<string, Model>> = {
  lift: { hiddenSize: 1024, layers: 12, heads: 16 },
  'lift-internvl3-1b': { hiddenSize: 896, layers: 24, heads: 14 },
};
const HEADS = { preset: 'small' };
const VIEWS = 4;
const SIZE = { width: 252, height: 252 };
const QUESTION = 'What stands to the left of the table?';
const ROUNDS = 7;

/**
 * What lifting costs on top of the forward pass: the pass through the whole decoder, the pass to the layers that the heads read,
 * the same with maps, cameras and points, and writing the files of a lift, by turns.
 */
async function benchLift(name: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'spatialsv-bench-'));
  try {
    await measure(name, folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function measure(name: string, folder: string): Promise<void> {
  const model = MODELS[name]!;
  const { backbone, heads } = await openModelWithHeads(
    await cachedFolder(`${name}-model`, (path) => writeModelWithHeads(path, model)),
  );
  const scene = createScene(1);
  const images = scene.cameras
    .slice(0, VIEWS)
    .map((camera) => renderView(scene, camera, SIZE).image);
  const inputs = await backbone.prepare({ images, question: QUESTION });
  const runner = new BackboneRunner(backbone);
  const { layers } = backbone.config;
  const to = (sites: readonly number[]) =>
    runner.forward(inputs, { sites: sites.map((layer) => siteOfLayer(layer, layers)) });
  const maps = await lift(runner, inputs, heads);
  const predictions = { ...maps, depth: maps.depth!, conventions: HEAD_CONVENTIONS };
  const spent = await byTurns({
    forward: () => to([layers]),
    taps: () => to(heads.taps),
    lift: () => lift(runner, inputs, heads),
    cameras: async () => cameras(maps),
    write: () => liftGeometry({ title: 'bench', predictions, images }, join(folder, 'lifted')),
  });
  await runner.dispose();
  const share = (kind: keyof Cost, of: (round: Round) => number) =>
    median(spent.map((round) => of(ofKind(round, kind)) / round['forward']![kind]));
  const lifted = ({ lift, taps }: Round) => lift! - taps!;
  emit('inspect', name, {
    views: VIEWS,
    tokens: inputs.inputIds.length,
    map_height: maps.height,
    map_width: maps.width,
    forward_ms: 1000 * median(spent.map(({ forward }) => forward!.wall)),
    cameras_ms: 1000 * median(spent.map(({ cameras }) => cameras!.wall)),
    write_ms: 1000 * median(spent.map(({ write }) => write!.wall)),
    lift_share_of_forward: share('wall', lifted),
    lift_cpu_share_of_forward: share('cpu', lifted),
    lift_and_write_share_of_forward: share('wall', (round) => lifted(round) + round['write']!),
    aim_share: 0.15,
  });
}

/** Seconds of one kind by what took them. */
type Round = Readonly<Record<string, number>>;

const ofKind = (costs: Readonly<Record<string, Cost>>, kind: keyof Cost): Round =>
  Object.fromEntries(Object.entries(costs).map(([name, cost]) => [name, cost[kind]]));

/** Runs of one round follow each other, so that a machine that is busy for a while is so for all of them. */
async function byTurns(
  turns: Readonly<Record<string, () => Promise<unknown>>>,
): Promise<readonly Readonly<Record<string, Cost>>[]> {
  for (const run of Object.values(turns)) await run();
  const rounds: Record<string, Cost>[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const round: Record<string, Cost> = {};
    for (const [name, run] of Object.entries(turns)) round[name] = await costOf(run);
    rounds.push(round);
  }
  return rounds;
}

async function writeModelWithHeads(folder: string, model: Model): Promise<void> {
  const plugins = await composePlugins(folder);
  await findAdapter('qwen2.5-vl', plugins).writeTiny({ folder, seed: 1, ...model });
  const { defaultTaps: taps, hiddenSize } = (await openModel(folder, plugins)).config;
  const heads = await plugins.resolveGeometryHead('dpt').configure(HEADS);
  const parameters = heads.initialise(
    taps.map(() => hiddenSize),
    1,
  );
  await writeSpatialCheckpoint(folder, { taps, heads, featureChannels: 0, parameters });
}

async function openModelWithHeads(folder: string) {
  const backbone = await openModel(folder, await composePlugins(folder));
  return { backbone, heads: (await readSpatialCheckpoint(folder))! };
}

async function lift(
  runner: BackboneRunner,
  inputs: PreparedInputsV1,
  heads: SpatialCheckpoint,
): Promise<GeometryMaps> {
  const maps = await runner.predictGeometry(inputs, heads);
  cameras(maps);
  return maps;
}

/** What is computed from the maps. */
function cameras(maps: GeometryMaps): void {
  camerasFromRays(maps.rays!, maps, HEAD_CONVENTIONS.pixelCentre, maps.rayConfidence);
  pointsFromRays(maps.rays!, maps.depth!);
}

export const LIFT_CASES: Readonly<Record<string, () => Promise<void>>> = Object.fromEntries(
  Object.keys(MODELS).map((name) => [name, () => benchLift(name)]),
);
