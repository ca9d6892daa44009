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
import { emit, median, times } from './measure.js';

/** A decoder of 0.2 B parameters, whose forward pass takes seconds on two cores. */
const MODEL = { hiddenSize: 1024, layers: 12, heads: 16 };
const HEADS = { preset: 'small' };
const VIEWS = 4;
const SIZE = { width: 252, height: 252 };
const QUESTION = 'What stands to the left of the table?';
const ROUNDS = 5;

/**
 * What lifting costs on top of the forward pass: the pass through the whole decoder, the pass to the layers that the heads read,
 * and the maps with cameras and points, by turns. Writing the files of a lift is measured by itself.
 */
export async function benchLift(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'spatialsv-bench-'));
  try {
    await measure(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function measure(folder: string): Promise<void> {
  const { backbone, heads } = await openModelWithHeads(join(folder, 'model'));
  const scene = createScene(1);
  const images = scene.cameras
    .slice(0, VIEWS)
    .map((camera) => renderView(scene, camera, SIZE).image);
  const inputs = await backbone.prepare({ images, question: QUESTION });
  const runner = new BackboneRunner(backbone);
  const { layers } = backbone.config;
  const to = (sites: readonly number[]) =>
    runner.forward(inputs, { sites: sites.map((layer) => siteOfLayer(layer, layers)) });
  const turns = {
    forward: () => to([layers]),
    taps: () => to(heads.taps),
    lift: () => lift(runner, inputs, heads),
  };
  const spent: Record<keyof typeof turns, number[]> = { forward: [], taps: [], lift: [] };
  for (const run of Object.values(turns)) await run();
  for (let round = 0; round < ROUNDS; round++)
    for (const [name, run] of Object.entries(turns) as [
      keyof typeof turns,
      () => Promise<unknown>,
    ][])
      spent[name].push(...(await times(run, { warm: 0, repeats: 1 })));
  const maps = await lift(runner, inputs, heads);
  const [writing] = await times(
    () =>
      liftGeometry(
        {
          title: 'bench',
          predictions: { ...maps, depth: maps.depth!, conventions: HEAD_CONVENTIONS },
          images,
        },
        join(folder, 'lifted'),
      ),
    { warm: 0, repeats: 1 },
  );
  await runner.dispose();
  const [forward, taps, lifted] = [spent.forward, spent.taps, spent.lift].map(median);
  emit('inspect', 'lift', {
    views: VIEWS,
    tokens: inputs.inputIds.length,
    map_height: maps.height,
    map_width: maps.width,
    forward_ms: forward!,
    lift_ms: lifted! - taps!,
    lift_share_of_forward: (lifted! - taps!) / forward!,
    write_ms: writing!,
  });
}

async function openModelWithHeads(folder: string) {
  const plugins = await composePlugins(folder);
  await findAdapter('qwen2.5-vl', plugins).writeTiny({ folder, seed: 1, ...MODEL });
  const backbone = await openModel(folder, plugins);
  const { defaultTaps: taps, hiddenSize } = backbone.config;
  const heads = await plugins.resolveGeometryHead('dpt').configure(HEADS);
  const parameters = heads.initialise(
    taps.map(() => hiddenSize),
    1,
  );
  await writeSpatialCheckpoint(folder, { taps, heads, featureChannels: 0, parameters });
  return { backbone, heads: (await readSpatialCheckpoint(folder))! };
}

async function lift(
  runner: BackboneRunner,
  inputs: PreparedInputsV1,
  heads: SpatialCheckpoint,
): Promise<GeometryMaps> {
  const maps = await runner.predictGeometry(inputs, heads);
  camerasFromRays(maps.rays!, maps, HEAD_CONVENTIONS.pixelCentre, maps.rayConfidence);
  pointsFromRays(maps.rays!, maps.depth!);
  return maps;
}

export const LIFT_CASES: Readonly<Record<string, () => Promise<void>>> = { lift: benchLift };
