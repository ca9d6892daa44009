import type { SampleV1 } from '@spatialsv/core';
import {
  type BackboneRunner,
  evaluate,
  extractMindCubeLetter,
  type Prediction,
} from '@spatialsv/eval';
import type { CommandContext } from '../context.js';
import { readImages } from '../model.js';

/** `<answer>B. Right</answer>` and a little more. */
export const MAX_NEW_TOKENS = 16;

/** Asks every question once and reads the letters as MindCube does. */
export function askQuestions(
  label: string,
  samples: readonly SampleV1[],
  runner: BackboneRunner,
  { progress, signal }: CommandContext,
): Promise<readonly Prediction[]> {
  progress.start(label, samples.length);
  return evaluate({
    samples,
    answer: async ({ images: paths, question }) => {
      const images = await readImages(paths);
      const inputs = await runner.backbone.prepare({ images, question: question! });
      return (await runner.generate(inputs, { maxNewTokens: MAX_NEW_TOKENS })).text;
    },
    extract: (_sample, text) => extractMindCubeLetter(text),
    signal,
    onProgress: (done) => progress.update(done),
  });
}
