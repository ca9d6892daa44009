import { errorMessage, SpatialError } from '@spatialsv/core';
import { saysNoMemory } from '@spatialsv/engine';
import type { RunConfig } from './config/run-config.js';
import type { SampleInputs } from './data/sample-inputs.js';
import { gpuOf } from './device-memory.js';
import type { Recompute } from './step/open-runner.js';

/**
 * What a forward and backward pass failed of: where memory was short, an error that names its samples, their size, and the setting
 * that makes it smaller.
 */
export function explainOutOfMemory(
  error: unknown,
  samples: readonly {
    readonly id: string;
    readonly inputs: Pick<SampleInputs, 'shape' | 'tokens'>;
  }[],
  step: number,
  settings: PassSettings,
): unknown {
  if (!saysNoMemory(errorMessage(error))) return error;
  const ids = samples.map(({ id }) => `'${id}'`).join(', ');
  const sum = (of: (inputs: (typeof samples)[number]['inputs']) => number) =>
    samples.reduce((total, { inputs }) => total + of(inputs), 0);
  const size = `${sum(({ tokens }) => tokens)} tokens, ${sum(({ shape }) => shape.views.length)} views`;
  return new SpatialError({
    code: 'OUT_OF_MEMORY',
    message: `step ${step}: no memory for sample ${ids} (${size}): ${errorMessage(error)}`,
    hint: `${knob(samples.length, settings)} spatialsv train --plan tells what a configuration needs.`,
    cause: error,
  });
}

/** What a forward and backward pass was told to do. */
type PassSettings = Pick<RunConfig, 'train' | 'packTokens'> & { readonly recompute: Recompute };

/** The first of what helps that is not set yet. */
function knob(samples: number, { recompute, train, packTokens }: PassSettings): string {
  if (samples > 1) return `Lower packTokens, which is ${packTokens}.`;
  if (recompute === 'none') return 'Set recompute: layer.';
  if (train.llm === 'full') return LOW_RANK;
  return 'Lower imageBudget.maxPixels, or leave out samples of so many views.';
}

const LOW_RANK = 'Set train: { llm: lora }, which keeps no moments of its weights.';

/** What making room for the trained parameters failed of: where memory was short, an error that names the setting to change. */
export function explainNoRoom(
  error: unknown,
  { train, optimizer, device }: Pick<RunConfig, 'train' | 'optimizer' | 'device'>,
): unknown {
  if (!saysNoMemory(errorMessage(error))) return error;
  const fewer =
    optimizer.stateBits === 32 && gpuOf(device) === undefined
      ? 'Set optimizer.stateBits: 8.'
      : 'Lower lora.rank.';
  return new SpatialError({
    code: 'OUT_OF_MEMORY',
    message: `no memory for the trained parameters, their gradients and moments: ${errorMessage(error)}`,
    hint: `${train.llm === 'full' ? LOW_RANK : fewer} spatialsv train --plan tells what a configuration needs.`,
    cause: error,
  });
}
