import { errorMessage, SpatialError } from '@spatialsv/core';
import type { RunConfig } from './config/run-config.js';
import type { SampleInputs } from './data/sample-inputs.js';
import type { Recompute } from './step/open-runner.js';

/** What ONNX Runtime, the C++ library and JavaScript say when they get no memory. */
const NO_MEMORY =
  /failed to allocate memory|bad_alloc|array buffer allocation failed|out of memory/i;

/**
 * What a forward and backward pass failed of: where memory was short, an error that names the sample, its size, and the setting
 * that makes it smaller.
 */
export function explainOutOfMemory(
  error: unknown,
  { id, inputs }: { readonly id: string; readonly inputs: Pick<SampleInputs, 'shape' | 'tokens'> },
  step: number,
  settings: Pick<RunConfig, 'train'> & { readonly recompute: Recompute },
): unknown {
  if (!NO_MEMORY.test(errorMessage(error))) return error;
  const { views } = inputs.shape;
  return new SpatialError({
    code: 'OUT_OF_MEMORY',
    message: `step ${step}: no memory for sample '${id}' (${inputs.tokens} tokens, ${views.length} views): ${errorMessage(error)}`,
    hint: `${knob(settings)} spatialsv train --plan tells what a configuration needs.`,
    cause: error,
  });
}

/** The first of what helps that is not set yet. */
function knob({ recompute, train }: Parameters<typeof explainOutOfMemory>[3]): string {
  if (recompute === 'none') return 'Set recompute: layer.';
  if (train.llm === 'full')
    return 'Set train: { llm: lora }, which keeps no moments of its weights.';
  return 'Lower imageBudget.maxPixels, or leave out samples of so many views.';
}
