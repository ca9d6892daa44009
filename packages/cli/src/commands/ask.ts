import { BackboneRunner, type GenerateResult } from '@spatialsv/eval';
import type { ModelOptions, WeightOptions } from '../command-line/options.js';
import { composePlugins } from '../composition.js';
import { type CommandContext, printable } from '../context.js';
import { counted } from '../counted.js';
import { describeGeneration, type GenerationOptions, planGeneration } from '../generation.js';
import { describeWeights, openModel, readImages } from '../model.js';
import { targetOf } from '../target.js';

export interface AskOptions extends ModelOptions, WeightOptions, GenerationOptions {
  readonly question: string;
  readonly system?: string;
  /** Tokens of an answer at most where neither options nor checkpoint say. */
  readonly usualLength: number;
  readonly json: boolean;
}

export async function ask(options: AskOptions, context: CommandContext): Promise<void> {
  const { progress, signal, out } = context;
  progress.start('Reading');
  const { inputs, runner, generation, settings } = await prepare(options, context);
  const tokens = inputs.inputIds.length;
  const show = showAnswer(options.json, generation.maxNewTokens, context);
  const startedMs = performance.now();
  progress.start(`Reading ${counted(options.images.length, 'image')}, ${tokens} tokens`);
  const result = await runner.generate(inputs, { ...generation, signal, ...show.listener });
  const summary = summarise(result, tokens, startedMs, show.firstMs());
  await runner.dispose();
  if (options.json) {
    progress.done();
    const how = { weights: runner.weights, generation: { ...generation, settings } };
    out(`${JSON.stringify({ ...summary, ...how })}\n`);
  } else out('\n');
  signal.throwIfAborted();
}

/** The model and the question, and how it is to answer; said on stderr. */
async function prepare(options: AskOptions, { folder, err }: CommandContext) {
  const { question, system } = options;
  const backbone = await openModel(options.model, await composePlugins(folder), options, err);
  const { generation: settings } = backbone.config;
  const generation = planGeneration(settings, options, options.usualLength);
  const images = await readImages(options.images, backbone);
  const inputs = await backbone.prepare({
    images,
    question,
    ...(system !== undefined && { system }),
  });
  const runner = new BackboneRunner(backbone, {
    ...targetOf(options),
    weights: options.weightPolicy,
  });
  err(`${describeWeights(runner.weights)}\n${describeGeneration(generation, settings)}\n`);
  await runner.load();
  return { inputs, runner, generation, settings };
}

/** Prints an answer as it is made, or counts its tokens where a program reads it, and notes when the first one came. */
function showAnswer(json: boolean, maxNewTokens: number, { progress, out }: CommandContext) {
  let firstMs: number | undefined;
  const onFirst = () => (json ? progress.start('Answering', maxNewTokens) : progress.done());
  const onToken = (count: number) => {
    if (firstMs === undefined) onFirst();
    firstMs ??= performance.now();
    if (json) progress.update(count);
  };
  const onText = (text: string) => {
    if (!json) out(printable(text));
  };
  return { listener: { onToken, onText }, firstMs: () => firstMs ?? performance.now() };
}

function summarise(
  { text, ids, stoppedBy }: GenerateResult,
  promptTokens: number,
  startedMs: number,
  firstMs: number,
) {
  const seconds = (ms: number) => Number((ms / 1000).toFixed(3));
  return {
    answer: text,
    stoppedBy,
    promptTokens,
    newTokens: ids.length,
    firstTokenSeconds: seconds(firstMs - startedMs),
    restSeconds: seconds(performance.now() - firstMs),
  };
}
