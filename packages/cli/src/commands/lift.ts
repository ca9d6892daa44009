import {
  type BackboneV1,
  type GeometryConventionsV1,
  type PreparedInputsV1,
  SpatialError,
} from '@spatialsv/core';
import {
  BackboneRunner,
  type GeometryMaps,
  readSpatialCheckpoint,
  type SpatialCheckpoint,
} from '@spatialsv/eval';
import { type LiftPredictions, liftGeometry } from '@spatialsv/inspect';
import type { Command } from 'commander';
import { composePlugins } from '../composition.js';
import type { CommandContext } from '../context.js';
import { openModel, readImages } from '../model.js';
import { addModelOptions, describeCommand, type ModelOptions, wholeNumber } from '../options.js';
import { packageVersion } from '../version.js';

interface LiftOptions extends ModelOptions {
  readonly out: string;
  readonly question?: string;
  readonly maxNewTokens: number;
  readonly json: boolean;
}

export function registerLift(program: Command, context: CommandContext): void {
  const command = describeCommand(
    program.command('lift'),
    'Draw what a model sees: depth, point cloud (PLY, GLB), cameras, and a page that shows them.',
    [
      'lift --model ./runs/first/checkpoints/step-600 --images a.jpg b.jpg --out ./lifted',
      'lift --model ./tiny --images a.jpg b.jpg --question "What is nearest?" --out ./lifted',
    ],
  );
  command.addHelpText(
    'after',
    '\nThe checkpoint needs 3D heads in spatialsv/, as `train` writes them; `tiny --heads` adds random ones to try this.',
  );
  addModelOptions(command)
    .requiredOption('--out <folder>', 'folder to write')
    .option('--question <text>', 'also ask this, and show the answer on the page')
    .option('--max-new-tokens <n>', 'length of the answer at most', wholeNumber(1), 128)
    .option('--json', 'print what was written as JSON', false)
    .action((options: LiftOptions) => lift(options, context));
}

/** What the heads say is in the normalised scale and the frame of their labels. */
const CONVENTIONS: GeometryConventionsV1 = {
  axes: 'opencv',
  extrinsics: 'world-to-camera',
  pixelCentre: 'half',
  depth: 'z-depth',
  scale: 'relative',
  world: 'first-camera',
};

async function lift(options: LiftOptions, context: CommandContext): Promise<void> {
  const { progress, signal } = context;
  progress.start('Reading');
  const backbone = await openModel(options.model, await composePlugins(context.folder), options);
  const heads = requireDepth(options.model, await readSpatialCheckpoint(options.model));
  const images = await readImages(options.images);
  const question = options.question ?? 'Describe the scene.';
  const inputs = await backbone.prepare({ images, question });
  const runner = new BackboneRunner(backbone, { device: options.device });
  progress.start(`Lifting ${images.length} views, ${inputs.inputIds.length} tokens`);
  const maps = await runner.predictGeometry(inputs, heads);
  const answer =
    options.question === undefined ? undefined : await answerOf(runner, inputs, options, context);
  await runner.dispose();
  signal.throwIfAborted();
  progress.start('Writing');
  const result = await liftGeometry(
    {
      title: 'What the model sees',
      subtitle: `${options.model}, ${images.length} views`,
      predictions: predictionsOf(maps),
      images,
      covered: inputs.grids.map((grid) => grid.covered),
      ...(options.question !== undefined && { dialogue: { question, answer } }),
      provenance: provenance(options, backbone, heads, maps),
    },
    options.out,
  );
  progress.done(`${result.points} points from ${maps.views} views`);
  context.out(options.json ? `${JSON.stringify(result)}\n` : `${result.page}\n`);
}

async function answerOf(
  runner: BackboneRunner,
  inputs: PreparedInputsV1,
  { maxNewTokens }: LiftOptions,
  { progress, signal }: CommandContext,
): Promise<string> {
  progress.start('Answering', maxNewTokens);
  const onToken = (count: number) => progress.update(count);
  return (await runner.generate(inputs, { maxNewTokens, signal, onToken })).text;
}

const TRAINING_HINT =
  'Train them with `spatialsv train CONFIG.yaml`, or add random ones with `spatialsv tiny --heads` to try the command.';

function requireDepth(
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

function predictionsOf(maps: GeometryMaps): LiftPredictions {
  return { ...maps, depth: maps.depth!, conventions: CONVENTIONS };
}

function provenance(
  options: LiftOptions,
  backbone: BackboneV1,
  heads: SpatialCheckpoint,
  maps: GeometryMaps,
): { name: string; value: string }[] {
  return [
    { name: 'Checkpoint', value: options.model },
    { name: 'Backbone', value: `${backbone.adapterId}, ${backbone.config.layers} layers` },
    { name: 'Tapped layers', value: heads.taps.join(', ') },
    {
      name: 'Heads',
      value: `${heads.heads.tasks.join(', ')}; ${maps.width} × ${maps.height} pixels`,
    },
    { name: 'Scale', value: 'relative: 1 is the mean distance of the scene in the labels' },
    { name: 'Made with', value: `spatialsv ${packageVersion()}, device ${options.device}` },
  ];
}
