import { resolve } from 'node:path';
import {
  type BackboneV1,
  type GeometryLabelsV1,
  type LabellerV1,
  readSpatialCheckpoint,
  type SpatialCheckpoint,
  withCleanup,
} from '@spatialsv/core';
import { BackboneRunner, type GeometryMaps } from '@spatialsv/eval';
import { liftGeometry, type PageFact } from '@spatialsv/inspect';
import { learnableLabels } from '@spatialsv/train';
import type { ModelOptions } from '../command-line/options.js';
import { composePlugins } from '../composition.js';
import type { CommandContext } from '../context.js';
import { counted } from '../counted.js';
import { HEAD_CONVENTIONS, requireDepth } from '../lifts/heads.js';
import {
  type LiftLabelOptions,
  likePredictions,
  openLabels,
  type SeenViews,
} from '../lifts/labels.js';
import { openModel, readImages } from '../model.js';
import { madeWith, targetOf } from '../target.js';

export interface LiftOptions extends ModelOptions, LiftLabelOptions {
  readonly out: string;
  readonly question?: string;
  readonly maxNewTokens: number;
  readonly json: boolean;
}

export async function lift(options: LiftOptions, context: CommandContext): Promise<void> {
  const { progress, signal } = context;
  progress.start('Reading');
  const subject = await readSubject(options, context);
  const { labeller } = subject;
  const work = async () => {
    const { maps, answer } = await look(subject, options, context);
    signal.throwIfAborted();
    if (labeller !== undefined) progress.start(`Labels of ${labeller.sourceId}`);
    const labels = labeller && (await labelsOf(labeller, subject, maps, options.images, signal));
    return { maps, answer, labels };
  };
  const seen = await withCleanup(work, () => labeller?.dispose());
  progress.start('Writing');
  const result = await writeLifted(subject, seen, options);
  progress.done(`${counted(result.points, 'point')} from ${counted(seen.maps.views, 'view')}`);
  for (const note of result.notes) context.err(`${note}\n`);
  context.out(options.json ? `${JSON.stringify(result)}\n` : `${result.page}\n`);
}

/** What is lifted. */
interface LiftSubject extends SeenViews {
  readonly backbone: BackboneV1;
  readonly heads: SpatialCheckpoint;
  readonly labeller: LabellerV1 | undefined;
}

/** Labels are opened before the model runs: what is missing is said at once. */
async function readSubject(options: LiftOptions, context: CommandContext): Promise<LiftSubject> {
  const plugins = await composePlugins(context.folder);
  const backbone = await openModel(options.model, plugins, options, context.err);
  const stored = await readSpatialCheckpoint(options.model, plugins.resolveGeometryHead);
  const heads = requireDepth(options.model, stored);
  const images = await readImages(options.images, backbone);
  // Visual tokens come before the question and do not see it: any question gives the same maps.
  const question = options.question ?? 'Describe the scene.';
  const inputs = await backbone.prepare({ images, question });
  const labeller = await openLabels(options, targetOf(options), plugins);
  return { backbone, heads, images, inputs, labeller };
}

/** In the form in which the heads learn them, at the size of their maps and through the same crop. */
async function labelsOf(
  labeller: LabellerV1,
  subject: LiftSubject,
  maps: GeometryMaps,
  images: readonly string[],
  signal: AbortSignal,
): Promise<GeometryLabelsV1> {
  const found = await labeller.doLabel({ images: images.map((path) => resolve(path)), signal });
  return likePredictions(learnableLabels(found, labeller.sourceId), subject, maps);
}

interface Seen {
  readonly maps: GeometryMaps;
  readonly answer?: string | undefined;
  readonly labels: GeometryLabelsV1 | undefined;
}

function writeLifted(subject: LiftSubject, { maps, answer, labels }: Seen, options: LiftOptions) {
  const { images, inputs } = subject;
  const { question } = options;
  const input = {
    title: 'What the model sees',
    subtitle: `${options.model}, ${counted(images.length, 'view')}`,
    predictions: { ...maps, depth: maps.depth!, conventions: HEAD_CONVENTIONS },
    images,
    covered: inputs.grids.map((grid) => grid.covered),
    ...(labels !== undefined && { labels }),
    ...(question !== undefined && { dialogue: { question, answer } }),
    provenance: provenance(options, subject, maps),
  };
  return liftGeometry(input, options.out);
}

async function look(
  { backbone, heads, images, inputs }: LiftSubject,
  options: LiftOptions,
  { progress, signal }: CommandContext,
): Promise<{ maps: GeometryMaps; answer?: string }> {
  const { question, maxNewTokens } = options;
  const runner = new BackboneRunner(backbone, { ...targetOf(options), weights: 'mapped' });
  const work = async () => {
    progress.start(`Lifting ${counted(images.length, 'view')}, ${inputs.inputIds.length} tokens`);
    const maps = await runner.predictGeometry(inputs, heads);
    if (question === undefined) return { maps };
    progress.start('Answering', maxNewTokens);
    const onToken = (count: number) => progress.update(count);
    const { text } = await runner.generate(inputs, { maxNewTokens, signal, onToken });
    return { maps, answer: text };
  };
  return withCleanup(work, () => runner.dispose());
}

function provenance(
  options: LiftOptions,
  { backbone, heads, labeller }: LiftSubject,
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
    ...(labeller === undefined ? [] : [{ name: 'Labels', value: labeller.sourceId }]),
    { name: 'Scale', value: 'relative: 1 is the mean distance of the scene in the labels' },
    { name: 'Made with', value: madeWith(targetOf(options)) },
  ];
}
