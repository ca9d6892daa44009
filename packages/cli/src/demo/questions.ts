import type { SampleV1 } from '@spatialsv/core';
import { type BackboneRunner, extractMindCubeLetter, type Prediction } from '@spatialsv/eval';
import type { CommandContext } from '../context.js';
import { readImages } from '../model.js';

/** `<answer>B. Right</answer>` and a little more. */
export const MAX_NEW_TOKENS = 16;

/** Asks every question once and reads the letters as MindCube does. */
export async function askQuestions(
  label: string,
  samples: readonly SampleV1[],
  runner: BackboneRunner,
  { progress, signal }: CommandContext,
): Promise<readonly Prediction[]> {
  progress.start(label, samples.length);
  const predictions: Prediction[] = [];
  for (const { id, images: paths, question, options, answerLetter, category } of samples) {
    signal.throwIfAborted();
    const images = await readImages(paths);
    const inputs = await runner.backbone.prepare({ images, question: question! });
    const { text: raw } = await runner.generate(inputs, { maxNewTokens: MAX_NEW_TOKENS });
    predictions.push({
      id,
      category: category ?? 'all',
      gold: answerLetter!,
      letters: Object.keys(options!),
      raw,
      extracted: extractMindCubeLetter(raw) ?? null,
    });
    progress.update(predictions.length);
  }
  return predictions;
}
