import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Qwen25VlTinyOptions } from '@spatialsv/adapter-qwen25vl';
import {
  type BackboneV1,
  type LabellerV1,
  type PluginRegistry,
  readSpatialCheckpoint,
  resampleLabels,
  type SampleV1,
  type SpatialCheckpoint,
  writeFileAtomic,
} from '@spatialsv/core';
import { BackboneRunner, extractMindCubeLetter } from '@spatialsv/eval';
import { liftGeometry } from '@spatialsv/inspect';
import { type TrainConfig, tappedLayers, train, trainConfigSchema } from '@spatialsv/train';
import type { CommandContext } from '../context.js';
import { openModel, readImages } from '../model.js';
import { packageVersion } from '../version.js';
import {
  constantDepthErrors,
  distinctViewSets,
  labelsAtHeads,
  meanDepth,
  modelDepthErrors,
} from './depth.js';
import { askQuestions, MAX_NEW_TOKENS } from './questions.js';
import { type DemoResults, type Measured, summarise } from './results.js';
import { type RoomSet, renderRooms } from './rooms.js';
import { DEMO_FAMILY, DEMO_SOURCE, type DemoSettings } from './settings.js';

/** What the chat template adds to every question. */
const CHAT_TEXTS = ['system\nYou are a helpful assistant.', 'user\n', 'assistant\n'];
/** Held-out view sets whose depth is measured, and training view sets of the constant predictor. */
const DEPTH_VIEW_SETS = 60;

/** What the stages of a demo share. */
interface Demo {
  readonly settings: DemoSettings;
  readonly out: string;
  readonly context: CommandContext;
  readonly plugins: PluginRegistry;
  readonly labeller: LabellerV1;
  readonly seconds: Record<string, number>;
}

/** A model with its heads. */
interface Subject {
  readonly backbone: BackboneV1;
  readonly heads: SpatialCheckpoint;
}

/**
 * The whole of SpatialSV in miniature: renders rooms, makes a tiny model that knows nothing, trains it with text,
 * distillation and 3D losses, asks it about rooms that it never saw, and lifts one of them.
 * @param out folder of everything that is written.
 */
export async function runDemo(
  settings: DemoSettings,
  out: string,
  context: CommandContext,
  plugins: PluginRegistry,
): Promise<DemoResults> {
  const labeller = await plugins.resolveLabelSource(DEMO_SOURCE).open();
  const demo: Demo = { settings, out, context, plugins, labeller, seconds: {} };
  const started = performance.now();
  await clear(out);
  const rooms = await timed(demo, 'render', () => renderAll(demo));
  const config = configure(demo, rooms.train);
  await timed(demo, 'model', () => writeModel(demo, config, rooms.train));
  const questions = rooms.heldOut.samples.slice(0, settings.heldOutQuestions);
  const before = await timed(demo, 'before', () => measureBefore(demo, config, questions));
  const checkpoint = await timed(demo, 'training', () => runTraining(demo, config));
  const after = await timed(demo, 'after', () => measureAfter(demo, checkpoint, questions));
  const constant = await constantErrors(demo, after.heads, rooms.train.samples, questions);
  const report = await timed(demo, 'report', () => liftRoom(demo, checkpoint, questions[0]!));
  demo.seconds['total'] = (performance.now() - started) / 1000;
  const measured: Measured = {
    predictions: { before: before.predictions, after: after.predictions },
    depth: { before: before.depth, after: after.depth, constant },
  };
  const results: DemoResults = {
    spatialsv: packageVersion(),
    ...summarise(settings, measured),
    seconds: demo.seconds,
    report,
  };
  await writeFileAtomic(join(out, 'results.json'), `${JSON.stringify(results, null, 2)}\n`);
  return results;
}

/** Removes what an earlier demo wrote, and nothing else. */
async function clear(out: string): Promise<void> {
  for (const name of ['rooms', 'model', 'run', 'report', 'results.json']) {
    await rm(join(out, name), { recursive: true, force: true });
  }
}

async function timed<Result>(
  { seconds }: Demo,
  stage: string,
  work: () => Promise<Result>,
): Promise<Result> {
  const started = performance.now();
  const result = await work();
  seconds[stage] = (performance.now() - started) / 1000;
  return result;
}

async function renderAll({ settings, out, context }: Demo) {
  const folder = join(out, 'rooms');
  const train = await renderRooms(settings, folder, 'train', context);
  const heldOut = await renderRooms(settings, folder, 'heldout', context);
  return { train, heldOut };
}

function configure({ settings, out }: Demo, { file }: RoomSet): TrainConfig {
  return trainConfigSchema.parse({
    ...settings.training,
    model: join(out, 'model'),
    out: join(out, 'run'),
    data: [{ format: 'mindcube', path: file, prompt: 'plain' }],
    seed: settings.seed,
    checkpointEvery: 0,
  });
}

/** A random checkpoint whose tokens are the words of the questions. */
async function writeModel({ settings, plugins }: Demo, config: TrainConfig, { samples }: RoomSet) {
  const spoken = samples.flatMap(({ question, answer }) => [question ?? '', answer ?? '']);
  const options: Qwen25VlTinyOptions = {
    ...settings.model,
    folder: config.model,
    seed: settings.seed,
    corpus: [...CHAT_TEXTS, ...new Set(spoken)],
  };
  await plugins.resolveBackboneAdapter(DEMO_FAMILY).writeTiny(options);
}

const openSized = ({ settings, plugins }: Demo, folder: string) =>
  openModel(folder, plugins, { maxPixels: settings.imageSize ** 2 });

const readHeads = ({ plugins }: Demo, folder: string) =>
  readSpatialCheckpoint(folder, plugins.resolveGeometryHead);

/** The model as it was made, with the heads from which training starts. */
async function measureBefore(demo: Demo, config: TrainConfig, questions: readonly SampleV1[]) {
  const backbone = await openSized(demo, config.model);
  const { type, ...options } = config.heads;
  const model = await demo.plugins.resolveGeometryHead(type).configure(options);
  const taps = tappedLayers(config, backbone.config, model.tapCount);
  const widths = taps.map(() => backbone.config.hiddenSize);
  const parameters = model.initialise(widths, config.seed);
  const heads = { taps, heads: model, featureChannels: 0, parameters };
  return measure(demo, 'before training', { backbone, heads }, questions);
}

async function measureAfter(demo: Demo, checkpoint: string, questions: readonly SampleV1[]) {
  const backbone = await openSized(demo, checkpoint);
  const heads = (await readHeads(demo, checkpoint))!;
  return { heads, ...(await measure(demo, 'after training', { backbone, heads }, questions)) };
}

async function measure(
  demo: Demo,
  when: string,
  { backbone, heads }: Subject,
  questions: readonly SampleV1[],
) {
  const { context, labeller } = demo;
  const runner = new BackboneRunner(backbone, { programs: 32 });
  const label = `Asking about rooms it never saw, ${when}`;
  const predictions = await askQuestions(label, questions, runner, context);
  const samples = distinctViewSets(questions).slice(0, DEPTH_VIEW_SETS);
  const depth = await modelDepthErrors({ labeller, samples, heads }, runner);
  await runner.dispose();
  const right = predictions.filter(({ extracted, gold }) => extracted === gold).length;
  context.progress.done(
    `${right} of ${predictions.length} right, depth RMSE ${depth.rmse.toFixed(3)} ${when}`,
  );
  return { predictions, depth };
}

/** Errors of the mean depth of training rooms on the held-out rooms. */
async function constantErrors(
  { labeller, settings }: Demo,
  heads: SpatialCheckpoint,
  train: readonly SampleV1[],
  heldOut: readonly SampleV1[],
) {
  const some = (samples: readonly SampleV1[]) =>
    distinctViewSets(samples).slice(0, DEPTH_VIEW_SETS);
  const constant = await meanDepth({ labeller, heads, samples: some(train) }, settings.imageSize);
  return constantDepthErrors(
    { labeller, heads, samples: some(heldOut) },
    settings.imageSize,
    constant,
  );
}

/** @returns folder of the last checkpoint. */
async function runTraining(demo: Demo, config: TrainConfig): Promise<string> {
  const { progress, signal } = demo.context;
  const { checkpoint } = await train(config, {
    backbone: await openSized(demo, config.model),
    source: demo.labeller,
    findHead: demo.plugins.resolveGeometryHead,
    formats: demo.plugins,
    signal,
    versions: { spatialsv: packageVersion() },
    onStart: ({ steps }) => progress.start('Training with all losses', steps),
    onStep: ({ step, losses }) => progress.update(step, `loss ${losses.total?.toFixed(3)}`),
  });
  signal.throwIfAborted();
  progress.done(`checkpoint ${checkpoint}`);
  return checkpoint;
}

/** Lifts the views of a held-out question, beside their labels. @returns the report's page. */
async function liftRoom(demo: Demo, checkpoint: string, sample: SampleV1): Promise<string> {
  const { labeller, context, out } = demo;
  context.progress.start('Lifting a room it never saw');
  const backbone = await openSized(demo, checkpoint);
  const heads = (await readHeads(demo, checkpoint))!;
  const runner = new BackboneRunner(backbone);
  const images = await readImages(sample.images);
  const question = sample.question!;
  const inputs = await backbone.prepare({ images, question });
  const maps = await runner.predictGeometry(inputs, heads);
  const { text } = await runner.generate(inputs, { maxNewTokens: MAX_NEW_TOKENS });
  await runner.dispose();
  const { height, width } = maps;
  const { labels } = await labelsAtHeads(labeller, sample, { height, width }, images[0]!);
  const letter = extractMindCubeLetter(text);
  const { page } = await liftGeometry(
    {
      title: 'A room that the model never saw',
      subtitle: 'Made by spatialsv demo: a tiny model, trained for minutes on rendered rooms.',
      predictions: { ...maps, depth: maps.depth!, conventions: labels.conventions },
      images,
      covered: inputs.grids.map((grid) => grid.covered),
      labels: resampleLabels(labels, { height, width }),
      dialogue: {
        question,
        answer: text,
        expected: sample.answer,
        correct: letter === sample.answerLetter,
      },
    },
    join(out, 'report'),
  );
  context.progress.done('report written');
  return page;
}
