import { join } from 'node:path';
import {
  type BackboneConfigV1,
  type BackboneV1,
  hashPromptFiles,
  hashWeights,
  lockFolder,
  openStoredLabels,
  type PluginRegistry,
  readDataset,
  SpatialError,
  type StoredLabeller,
  settingOfPrecision,
  type TapSite,
  viewSetsOfSamples,
  withCleanup,
} from '@spatialsv/core';
import { BackboneRunner } from '@spatialsv/eval';
import {
  CONTROLS,
  type Control,
  extractFeatures,
  FeatureStore,
  ImageFiles,
  identifySets,
  type ProbeRunRequest,
  parseSites,
  probeSteps,
  runProbes,
  splitByScene,
} from '@spatialsv/train';
import { composePlugins } from '../composition.js';
import type { CommandContext } from '../context.js';
import { openModel } from '../model.js';
import { type ModelAccuracy, readAccuracies, requireSameWeights } from '../probe/accuracies.js';
import { modelNames } from '../probe/model-names.js';
import type { ProbeOptions } from '../probe/options.js';
import { stateReader } from '../probe/read-states.js';
import { type ProbedModel, type ProbeRun, reportProbes } from '../probe/report.js';
import { parseSettings } from '../settings.js';
import { targetOf } from '../target.js';

export async function probe(options: ProbeOptions, context: CommandContext): Promise<void> {
  const names = modelNames(options.model);
  const accuracies = await readAccuracies(options.evaluation, options.model);
  const plugins = await composePlugins(context.folder);
  const labels = await openStoredLabels(options.labels, options.source);
  const work = async () => {
    const lock = await lockFolder(options.out, 'probing');
    const run = async () => {
      const shared = await prepare(options, context, plugins, labels);
      const models = await lookAtModels(shared, names, accuracies);
      const probed: ProbedModel[] = [];
      for (const model of models) probed.push(await probeModel(shared, model));
      await reportProbes(shared, probed, accuracies);
    };
    await withCleanup(run, () => lock.release());
  };
  await withCleanup(work, () => labels.dispose());
}

async function prepare(
  options: ProbeOptions,
  context: CommandContext,
  plugins: PluginRegistry,
  labels: StoredLabeller,
): Promise<ProbeRun> {
  const { progress, signal } = context;
  const { data: path, format, imageRoot, limit } = options;
  progress.start('Reading');
  const samples = await readDataset({ path, format, imageRoot }, plugins);
  const viewSets = viewSetsOfSamples(samples).slice(0, limit);
  const files = new ImageFiles();
  progress.start('Reading images', viewSets.length);
  const onProgress = (done: number) => progress.update(done);
  const sets = await identifySets({ sets: viewSets, files, labels, signal, onProgress });
  progress.done(
    `${sets.length} view sets of ${new Set(sets.flatMap((set) => set.hashes)).size} images`,
  );
  // Said now, not after the model has run: there have to be scenes to hold out.
  splitByScene(sets, options.heldOut, options.seed);
  const controls = controlsOf(options, labels, context);
  return { options, context, plugins, labels, files, sets, controls };
}

/** All controls that there is something for, unless some were named. */
function controlsOf(
  { controls, labels: folder }: ProbeOptions,
  { provides }: StoredLabeller,
  { err }: CommandContext,
): readonly Control[] {
  if (provides.includes('feature')) return controls ?? CONTROLS;
  if (controls?.includes('label-features'))
    throw new SpatialError({
      code: 'DATA_INVALID',
      message: `--controls label-features: ${folder} holds labels without features`,
      hint: "Label again with a source that gives features (synthetic: --setting 'featureGrid={h: 16, w: 16}'), or leave this control out.",
    });
  if (controls === undefined)
    err(
      'no control from label features: the store holds none; what could be reached stays unknown\n',
    );
  return controls ?? CONTROLS.filter((control) => control !== 'label-features');
}

interface NamedModel {
  readonly folder: string;
  /** What it is called in tables. */
  readonly name: string;
  /** SHA-256 of every weight. */
  readonly weights: string;
}

/** Looks at every model before one is run: what a later one lacks shall not end a run in its middle. */
async function lookAtModels(
  { options, plugins, context }: ProbeRun,
  names: readonly string[],
  accuracies: readonly (ModelAccuracy | undefined)[],
): Promise<readonly NamedModel[]> {
  const models: NamedModel[] = [];
  context.progress.start('Looking at models', names.length);
  for (const [index, folder] of options.model.entries()) {
    const backbone = await openModel(folder, plugins, options, context.err);
    requireSites(folder, options.sites, backbone.config);
    const weights = await hashWeights(backbone.weights);
    requireSameWeights(accuracies[index], folder, weights);
    models.push({ folder, name: names[index]!, weights });
    context.progress.update(index + 1);
  }
  return models;
}

function requireSites(folder: string, sites: string, config: BackboneConfigV1): void {
  try {
    parseSites(sites, config);
  } catch (error) {
    if (!SpatialError.isInstance(error)) throw error;
    const { code, hint, message } = error;
    throw new SpatialError({ code, hint, message: `${folder}: ${message}`, cause: error });
  }
}

async function probeModel(
  run: ProbeRun,
  { folder, name: model, weights }: NamedModel,
): Promise<ProbedModel> {
  const { options, context, plugins, sets, controls } = run;
  const { progress } = context;
  const backbone = await openModel(folder, plugins, options);
  const sites = parseSites(options.sites, backbone.config);
  const store = await FeatureStore.open(options.store ?? join(options.out, 'features'), {
    weights,
    prompt: await hashPromptFiles(backbone.folder),
    settings: viewSettings(backbone.adapterId, options),
    storedAs: options.storedAs,
  });
  const started = performance.now();
  const extracted = await extract(run, { backbone, store, sites, model });
  const extractionSeconds = (performance.now() - started) / 1000;
  const request = probeRequest(run, store, [...controls, ...sites], model);
  progress.start(`Probing ${model}`, probeSteps(request));
  const results = await runProbes(request);
  const probeSeconds = (performance.now() - started) / 1000 - extractionSeconds;
  progress.done(`${model}: ${results.length} probes of ${sets.length} view sets`);
  return { model, folder, weights, sites, results, extracted, extractionSeconds, probeSeconds };
}

/** What states depend on besides weights, prompt files and images. */
const viewSettings = (
  adapter: string,
  { minPixels, maxPixels, set, ...options }: ProbeOptions,
) => ({
  adapter,
  ...settingOfPrecision(targetOf(options).precision),
  ...(minPixels !== undefined && { minPixels }),
  ...(maxPixels !== undefined && { maxPixels }),
  ...(set !== undefined && { settings: parseSettings('--set', set) }),
});

interface Extraction {
  readonly backbone: BackboneV1;
  readonly store: FeatureStore;
  readonly sites: readonly TapSite[];
  readonly model: string;
}

async function extract(run: ProbeRun, { backbone, store, sites, model }: Extraction) {
  const { options, context, files, sets, controls } = run;
  const { progress, signal } = context;
  const runner = new BackboneRunner(backbone, targetOf(options));
  progress.start(`Hidden states of ${model}`, sets.length);
  const work = () =>
    extractFeatures({
      sets,
      sites,
      pixels: controls.includes('pixels'),
      store,
      files,
      backbone,
      readStates: stateReader(backbone, runner),
      signal,
      onProgress: (done) => progress.update(done),
    });
  const ran = await withCleanup(work, () => runner.dispose());
  progress.done(`${model}: hidden states of ${ran} view sets, ${sets.length - ran} were there`);
  return ran;
}

function probeRequest(
  { options, context, labels, sets }: ProbeRun,
  store: FeatureStore,
  subjects: ProbeRunRequest['subjects'],
  model: string,
): ProbeRunRequest {
  const { steps, batchSize, learningRate, seeds, seed, heldOut, task, device } = options;
  const { progress, signal } = context;
  return {
    folder: join(options.out, 'probes'),
    store,
    labels,
    sets,
    subjects,
    tasks: task,
    kind: options.probe,
    training: { steps, batchSize, learningRate },
    heldOut,
    seeds: Array.from({ length: seeds }, (_, i) => seed + i),
    device,
    signal,
    onProgress: (done, what) => progress.update(done, `${model} ${what}`),
  };
}
