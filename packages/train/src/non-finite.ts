import { SpatialError } from '@spatialsv/core';
import { sizeOf } from '@spatialsv/engine';
import type { SampleInputs } from './data/sample-inputs.js';
import type { AdamwOptimizer } from './optimizer/adamw-optimizer.js';
import type { SampleLosses, SampleRunner } from './step/sample-runner.js';
import { LOSS_TERMS } from './step/terms.js';

/** @throws SpatialError NON_FINITE naming the loss term and the sample. */
export function requireFiniteLosses(losses: SampleLosses, sampleId: string, step: number): void {
  const term = LOSS_TERMS.find((name) => losses[name] !== null && !Number.isFinite(losses[name]));
  if (term === undefined) return;
  throw nonFinite(`loss term '${term}' is ${losses[term]}`, sampleId, step);
}

/**
 * Finds the sample whose gradients are not finite, by taking those of the batch one at a time.
 * @returns the error to throw.
 */
export async function explainNonFiniteGradient(
  batch: readonly { readonly id: string; readonly inputs: SampleInputs }[],
  runner: SampleRunner,
  optimizer: AdamwOptimizer,
  step: number,
): Promise<SpatialError> {
  for (const { id, inputs } of batch) {
    await clear(optimizer);
    await runner.run([inputs]);
    const name = await firstNonFinite(optimizer);
    if (name !== undefined) return nonFinite(`the gradient of '${name}' is not finite`, id, step);
  }
  const ids = batch.map(({ id }) => id).join(', ');
  return nonFinite('the sum of the gradients overflows', ids, step);
}

async function clear({ accumulators }: AdamwOptimizer): Promise<void> {
  for (const tensor of Object.values(accumulators)) {
    const size = sizeOf(tensor.shape);
    await tensor.write(new Float32Array(size));
  }
}

async function firstNonFinite({ accumulators }: AdamwOptimizer): Promise<string | undefined> {
  for (const [name, tensor] of Object.entries(accumulators)) {
    if (!(await tensor.read()).every(Number.isFinite)) return name;
  }
  return undefined;
}

/** @throws SpatialError NON_FINITE naming the tensor of the optimiser. @param name `parameters/…`, `first/…` or `second/…`. */
export function requireFinite(name: string, data: Float32Array, step: number): void {
  // Infinities and NaN alike become NaN when they are multiplied by 0.
  let sum = 0;
  for (let index = 0; index < data.length; index++) sum += data[index]! * 0;
  if (sum === 0) return;
  throw new SpatialError({
    code: 'NON_FINITE',
    message: `step ${step}: ${name} holds a value that is not finite: the run has diverged`,
    hint: HINT,
  });
}

const HINT =
  'Look at the samples and their labels, or lower learningRates or gradientClip and go on from the last checkpoint with --resume --accept-changes settings.';

function nonFinite(what: string, sampleId: string, step: number): SpatialError {
  return new SpatialError({
    code: 'NON_FINITE',
    message: `step ${step}: ${what} for sample '${sampleId}'`,
    hint: HINT,
  });
}
