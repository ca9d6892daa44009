import {
  type BackboneV1,
  type GeometryConventionsV1,
  type PluginRegistry,
  type PreparedInputsV1,
  type RgbImage,
  readSpatialCheckpoint,
  type SpatialCheckpoint,
  SpatialError,
  withCleanup,
} from '@spatialsv/core';
import { BackboneRunner, type GeometryMaps } from '@spatialsv/eval';
import { liftGeometry, type PageFact } from '@spatialsv/inspect';
import type { ModelOptions } from '../command-line/options.js';
import { composePlugins } from '../composition.js';
import type { CommandContext } from '../context.js';
import { openModel, readImages } from '../model.js';
import { packageVersion } from '../version.js';
import { labelsLikePredictions } from './lift-labels.js';

export interface LiftOptions extends ModelOptions {
  readonly out: string;
  readonly question?: string;
  readonly maxNewTokens: number;
  readonly source?: string;
  readonly weights?: string;
  readonly json: boolean;
}

/** What the heads say is in the normalised scale and the frame of their labels. */
export const HEAD_CONVENTIONS: GeometryConventionsV1 = {
  axes: 'opencv',
  extrinsics: 'world-to-camera',
  pixelCentre: 'half',
  depth: 'z-depth',
  scale: 'relative',
  world: 'first-camera',
};

export async function lift(options: LiftOptions, context: CommandContext): Promise<void> {
  const { progress, signal } = context;
  progress.start('Reading');
  const subject = await readSubject(options, context);
  const { maps, answer } = await look(subject, options, context);
  signal.throwIfAborted();
  if (options.source !== undefined) progress.start(`Labels of ${options.source}`);
  const labels = await labelsLikePredictions(subject, maps, options, signal);
  progress.start('Writing');
  const { images, inputs } = subject;
  const { question } = options;
  const result = await liftGeometry(
    {
      title: 'What the model sees',
      subtitle: `${options.model}, ${images.length} views`,
      predictions: { ...maps, depth: maps.depth!, conventions: HEAD_CONVENTIONS },
      images,
      covered: inputs.grids.map((grid) => grid.covered),
      ...(labels !== undefined && { labels }),
      ...(question !== undefined && { dialogue: { question, answer } }),
      provenance: provenance(options, subject, maps),
    },
    options.out,
  );
  progress.done(`${result.points} points from ${maps.views} views`);
  context.out(options.json ? `${JSON.stringify(result)}\n` : `${result.page}\n`);
}

/** What is lifted. */
export interface LiftSubject {
  readonly plugins: PluginRegistry;
  readonly backbone: BackboneV1;
  readonly heads: SpatialCheckpoint;
  readonly images: readonly RgbImage[];
  readonly inputs: PreparedInputsV1;
}

async function readSubject(options: LiftOptions, context: CommandContext): Promise<LiftSubject> {
  const plugins = await composePlugins(context.folder);
  const backbone = await openModel(options.model, plugins, options, context.err);
  const stored = await readSpatialCheckpoint(options.model, plugins.resolveGeometryHead);
  const heads = requireDepth(options.model, stored);
  const images = await readImages(options.images, backbone);
  // Visual tokens come before the question and do not see it: any question gives the same maps.
  const question = options.question ?? 'Describe the scene.';
  return { plugins, backbone, heads, images, inputs: await backbone.prepare({ images, question }) };
}

async function look(
  { backbone, heads, images, inputs }: LiftSubject,
  { device, question, maxNewTokens }: LiftOptions,
  { progress, signal }: CommandContext,
): Promise<{ maps: GeometryMaps; answer?: string }> {
  const runner = new BackboneRunner(backbone, { device, weights: 'mapped' });
  const work = async () => {
    progress.start(`Lifting ${images.length} views, ${inputs.inputIds.length} tokens`);
    const maps = await runner.predictGeometry(inputs, heads);
    if (question === undefined) return { maps };
    progress.start('Answering', maxNewTokens);
    const onToken = (count: number) => progress.update(count);
    const { text } = await runner.generate(inputs, { maxNewTokens, signal, onToken });
    return { maps, answer: text };
  };
  return withCleanup(work, () => runner.dispose());
}

const TRAINING_HINT =
  'Train them with `spatialsv train CONFIG.yaml`, or add random ones with `spatialsv tiny --heads` to try the command.';

/** @throws SpatialError WEIGHT_MISSING for a checkpoint without 3D heads, or without one for depth. */
export function requireDepth(
  folder: string,
  checkpoint: SpatialCheckpoint | undefined,
): SpatialCheckpoint {
  if (checkpoint === undefined) {
    throw new SpatialError({
      code: 'WEIGHT_MISSING',
      message: `${folder}: expected 3D heads in spatialsv/, found a plain checkpoint`,
      hint: TRAINING_HINT,
    });
  }
  if (checkpoint.heads.tasks.includes('depth')) return checkpoint;
  throw new SpatialError({
    code: 'WEIGHT_MISSING',
    message: `${folder}/spatialsv: expected a depth head, found ${checkpoint.heads.tasks.join(', ')}`,
    hint: TRAINING_HINT,
  });
}

function provenance(
  options: LiftOptions,
  { backbone, heads }: LiftSubject,
  maps: GeometryMaps,
): PageFact[] {
  return [
    { name: 'Checkpoint', value: options.model },
    { name: 'Backbone', value: `${backbone.adapterId}, ${backbone.config.layers} layers` },
    { name: 'Tapped layers', value: heads.taps.join(', ') },
    {
      name: 'Heads',
      value: `${heads.heads.tasks.join(', ')}; ${maps.width} × ${maps.height} pixels`,
    },
    ...(options.source === undefined ? [] : [{ name: 'Labels', value: options.source }]),
    { name: 'Scale', value: 'relative: 1 is the mean distance of the scene in the labels' },
    { name: 'Made with', value: `spatialsv ${packageVersion()}, device ${options.device}` },
  ];
}
