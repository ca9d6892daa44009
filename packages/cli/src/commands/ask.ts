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
  const { question, system, json } = options;
  progress.start('Reading');
  const backbone = await openModel(
    options.model,
    await composePlugins(context.folder),
    options,
    context.err,
  );
  const settings = backbone.config.generation;
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
  context.err(`${describeWeights(runner.weights)}\n${describeGeneration(generation, settings)}\n`);
  await runner.load();
  const startedMs = performance.now();
  const label = `Reading ${counted(images.length, 'image')}, ${inputs.inputIds.length} tokens`;
  progress.start(label);
  let firstMs: number | undefined;
  const result = await runner.generate(inputs, {
    ...generation,
    signal,
    onToken(count) {
      if (firstMs === undefined) {
        firstMs = performance.now();
        if (json) progress.start('Answering', generation.maxNewTokens);
        else progress.done();
      }
      if (json) progress.update(count);
    },
    onText: (text) => {
      if (!json) out(printable(text));
    },
  });
  await runner.dispose();
  if (json) progress.done();
  out(
    json
      ? `${JSON.stringify({ ...summarise(result, inputs.inputIds.length, startedMs, firstMs), weights: runner.weights, generation: { ...generation, settings } })}\n`
      : '\n',
  );
  signal.throwIfAborted();
}

function summarise(
  { text, ids, stoppedBy }: GenerateResult,
  promptTokens: number,
  startedMs: number,
  firstMs = performance.now(),
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
