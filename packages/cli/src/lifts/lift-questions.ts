import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type GeometryLabelsV1,
  type LabellerV1,
  type PreparedInputsV1,
  type RgbImage,
  type SpatialCheckpoint,
  SpatialError,
} from '@spatialsv/core';
import type { BenchmarkQuestionV1 } from '@spatialsv/core/spec';
import {
  type BackboneRunner,
  conversationOf,
  type GeometryMaps,
  questionKeys,
} from '@spatialsv/eval';
import { liftFacts, liftPhotos, writeLift } from '@spatialsv/inspect';
import { learnableLabels } from '@spatialsv/train';
import type { CommandContext } from '../context.js';
import { HEAD_CONVENTIONS } from './heads.js';
import { likePredictions } from './labels.js';

/** Folder of a run in which the lifts of its view sets lie. */
export const LIFTS_FOLDER = 'lifts';

/** Where the lift of a view set lies in a run. @param views its SHA-256, as `questions.jsonl` has it. */
export const liftFile = (run: string, views: string): string =>
  join(run, LIFTS_FOLDER, `${views}.safetensors`);

export interface LiftRequest {
  readonly questions: readonly BenchmarkQuestionV1[];
  readonly runner: BackboneRunner;
  readonly heads: SpatialCheckpoint;
  readonly labeller: LabellerV1 | undefined;
  /** Run folder. */
  readonly run: string;
}

/**
 * Lifts every view set that the questions look at, once, into the run's folder. View sets whose lift is there, with the labels
 * that are asked for, are not lifted again.
 */
export async function liftQuestions(request: LiftRequest, context: CommandContext): Promise<void> {
  const { progress, signal, err } = context;
  const sets = await viewSets(request.questions);
  await mkdir(join(request.run, LIFTS_FOLDER), { recursive: true });
  progress.start('Lifting', sets.size);
  let done = 0;
  const unlabelled: string[] = [];
  for (const [views, question] of sets) {
    signal.throwIfAborted();
    const isLabelled = await liftOnce(request, views, question, signal);
    if (!isLabelled && request.labeller !== undefined) unlabelled.push(question.id);
    progress.update(++done);
  }
  progress.done(`${sets.size} view sets in ${join(request.run, LIFTS_FOLDER)}`);
  if (unlabelled.length > 0)
    err(`no labels for the views of ${unlabelled.length} questions, such as '${unlabelled[0]}'\n`);
}

/** The first question about each view set. */
async function viewSets(
  questions: readonly BenchmarkQuestionV1[],
): Promise<ReadonlyMap<string, BenchmarkQuestionV1>> {
  const keys = await questionKeys(questions);
  const sets = new Map<string, BenchmarkQuestionV1>();
  for (const [i, { views }] of keys.entries())
    if (views !== undefined && !sets.has(views)) sets.set(views, questions[i]!);
  return sets;
}

/** @returns whether there are labels beside the lift. */
async function liftOnce(
  { runner, heads, labeller, run }: LiftRequest,
  views: string,
  question: BenchmarkQuestionV1,
  signal: AbortSignal,
): Promise<boolean> {
  const file = liftFile(run, views);
  const kept = await liftFacts(file);
  if (kept && (labeller === undefined || kept.labelSource === labeller.sourceId)) return true;
  const conversation = await conversationOf(question);
  const inputs = await runner.backbone.prepare(conversation);
  const images = conversation.images;
  const maps = await runner.predictGeometry(inputs, heads);
  const labels = await labelsOf(labeller, question, { images, inputs }, maps, signal);
  await writeLift(file, {
    photos: await liftPhotos(
      images,
      inputs.grids.map(({ covered }) => covered),
    ),
    predictions: { ...maps, depth: maps.depth!, conventions: HEAD_CONVENTIONS },
    ...(labels !== undefined && { labels, labelSource: labeller!.sourceId }),
  });
  return labels !== undefined;
}

/** @returns undefined where there are none: of frames of videos, of images inside of a table, of other images than a store's. */
async function labelsOf(
  labeller: LabellerV1 | undefined,
  { parts }: BenchmarkQuestionV1,
  subject: { readonly images: readonly RgbImage[]; readonly inputs: PreparedInputsV1 },
  maps: GeometryMaps,
  signal: AbortSignal,
): Promise<GeometryLabelsV1 | undefined> {
  if (labeller === undefined) return undefined;
  const paths = parts.flatMap((part) =>
    part.type === 'image' && typeof part.image.source === 'string' ? [part.image.source] : [],
  );
  if (paths.length !== subject.images.length) return undefined;
  try {
    const found = await labeller.doLabel({ images: paths, signal });
    return likePredictions(learnableLabels(found, labeller.sourceId), subject, maps);
  } catch (error) {
    if (SpatialError.isInstance(error) && error.code === 'DATA_INVALID') return undefined;
    throw error;
  }
}
