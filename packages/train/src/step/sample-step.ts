import {
  compile,
  type DeviceTensor,
  ProgramCache,
  type ProgramTarget,
  programPeakBytes,
  takeValues,
} from '@spatialsv/engine';
import { joinSamples, packShape } from '../data/join-samples.js';
import type { SampleInputs } from '../data/sample-inputs.js';
import type { ModelState } from '../model-state.js';
import { type ProgramUsage, UsageMeter } from './program-usage.js';
import type { SampleLosses, SampleRunner } from './sample-runner.js';
import { type StepModel, stepProgram } from './step-program.js';
import { type PackShape, packKey, type StepShape } from './step-shape.js';
import { packSpecs, parameterSpecs } from './step-specs.js';
import { LOSS_TERMS, type LossTerm } from './terms.js';

/** Shapes whose programs are kept compiled: images of many sizes in one data set are usual. */
const PROGRAMS = 64;

/** Forward and backward pass of samples in one graph, one compiled program per shape of pack. */
export class SampleStep implements SampleRunner {
  readonly #model: StepModel;
  readonly #state: ModelState;
  readonly #target: ProgramTarget;
  readonly #programs = new ProgramCache(PROGRAMS);
  readonly #meter = new UsageMeter();

  constructor(model: StepModel, state: ModelState, target: ProgramTarget) {
    this.#model = model;
    this.#state = state;
    this.#target = target;
  }

  prepare(samples: readonly SampleInputs[]): void {
    const shape = packShape(samples);
    this.#programs.prepare(packKey(shape), () => this.#compile(shape));
  }

  async run(samples: readonly SampleInputs[]): Promise<readonly SampleLosses[]> {
    const { shape, tensors } = joinSamples(samples);
    const { optimizer, frozenTensors } = this.#state;
    const inputs = {
      frozen: frozenTensors,
      parameters: optimizer.parameters,
      accumulators: optimizer.accumulators,
      pack: tensors,
    };
    const outputs = await this.#programs.use(
      packKey(shape),
      () => this.#compile(shape),
      async (program) => {
        this.#meter.note(packKey(shape), program.stats);
        return (await program.run(inputs)) as { losses: DeviceTensor };
      },
    );
    return readLosses(outputs.losses, this.#model, shape.samples);
  }

  get usage(): ProgramUsage {
    return this.#meter.usage;
  }

  dispose(): Promise<void> {
    return this.#programs.dispose();
  }

  #compile(shape: PackShape) {
    return compile(stepProgram(this.#model, shape), stepSpecs(this.#model, this.#state, shape), {
      ...this.#target,
      ...{ state: ['accumulators'], recomputeCheap: true },
      // The optimiser works on other threads.
      rests: true,
      name: `step of ${shape.tokens} tokens`,
    });
  }
}

/** Bytes that the graph of {@link SampleStep} for a shape allocates, beside parameters and what belongs to them. */
export const stepPeakBytes = (
  model: StepModel,
  state: ModelState,
  shape: PackShape,
  target: ProgramTarget,
): number =>
  programPeakBytes(stepProgram(model, shape), stepSpecs(model, state, shape), {
    ...target,
    recomputeCheap: true,
  });

function stepSpecs(model: StepModel, state: ModelState, shape: PackShape) {
  const trained = parameterSpecs(state);
  return {
    frozen: state.frozenSpecs,
    parameters: trained,
    accumulators: trained,
    pack: packSpecs(model.heads, shape),
  };
}

/** Takes the `losses` (samples, 6) of a step program apart, and disposes them. */
export async function readLosses(
  tensor: DeviceTensor,
  model: StepModel,
  shapes: readonly StepShape[],
): Promise<readonly SampleLosses[]> {
  const values = await takeValues(tensor);
  return shapes.map((shape, sample) => {
    const losses = LOSS_TERMS.map((term, index) => [
      term,
      isPresent(model, term, shape) ? values[sample * LOSS_TERMS.length + index]! : null,
    ]);
    return Object.fromEntries(losses);
  });
}

/** Whether a sample of a shape has a term, and its weight is not 0. */
export function isPresent({ losses, heads }: StepModel, term: LossTerm, shape: StepShape): boolean {
  if (term === 'total') return true;
  if (losses.weights[term] === 0) return false;
  if (term === 'text') return shape.targets > 0;
  if (term === 'distillation') return shape.featureChannels > 0;
  return shape.geometry && heads.tasks.includes(term);
}
