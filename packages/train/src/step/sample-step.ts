import {
  compile,
  type DeviceTensor,
  float32,
  ProgramCache,
  programPeakBytes,
} from '@spatialsv/engine';
import type { SampleInputs } from '../data/sample-inputs.js';
import type { ModelState } from '../model-state.js';
import { mapValues } from '../records.js';
import { LOSS_TERMS, type LossTerm, type StepModel, stepProgram } from './step-program.js';
import { type StepShape, stepKey } from './step-shape.js';
import { sampleSpecs } from './step-specs.js';

/** Values of the terms of equation 6 for one sample; absent terms are null. */
export type SampleLosses = Readonly<Record<LossTerm, number | null>>;

/** Shapes whose programs are kept compiled: images of many sizes in one data set are usual. */
const PROGRAMS = 64;

/** Runs forward and backward passes of samples. */
export interface SampleRunner {
  /** Has the programs of a sample compiled, for a {@link run} to come. */
  prepare(inputs: SampleInputs): void;
  /** Adds the gradients of a sample to the accumulators. */
  run(inputs: SampleInputs): Promise<SampleLosses>;
  dispose(): Promise<void>;
}

/** Forward and backward pass of a sample in one graph, one compiled program per shape of sample. */
export class SampleStep implements SampleRunner {
  readonly #model: StepModel;
  readonly #state: ModelState;
  readonly #device: string;
  readonly #programs = new ProgramCache(PROGRAMS);

  constructor(model: StepModel, state: ModelState, device: string) {
    this.#model = model;
    this.#state = state;
    this.#device = device;
  }

  prepare({ shape }: SampleInputs): void {
    this.#programs.prepare(stepKey(shape), () => this.#compile(shape));
  }

  async run({ shape, tensors }: SampleInputs): Promise<SampleLosses> {
    const { optimizer, frozenTensors } = this.#state;
    const inputs = {
      frozen: frozenTensors,
      parameters: optimizer.parameters,
      accumulators: optimizer.accumulators,
      sample: tensors,
    };
    const outputs = await this.#programs.use(
      stepKey(shape),
      () => this.#compile(shape),
      async (program) => (await program.run(inputs)) as { losses: DeviceTensor },
    );
    return readLosses(outputs.losses, this.#model, shape);
  }

  dispose(): Promise<void> {
    return this.#programs.dispose();
  }

  #compile(shape: StepShape) {
    return compile(stepProgram(this.#model, shape), stepSpecs(this.#model, this.#state, shape), {
      ...{ device: this.#device, state: ['accumulators'], name: `step of ${shape.tokens} tokens` },
    });
  }
}

/** Bytes that the graph of {@link SampleStep} for a shape allocates, beside parameters and what belongs to them. */
export const stepPeakBytes = (model: StepModel, state: ModelState, shape: StepShape): number =>
  programPeakBytes(stepProgram(model, shape), stepSpecs(model, state, shape));

function stepSpecs(model: StepModel, { optimizer, frozenSpecs }: ModelState, shape: StepShape) {
  const trained = mapValues(optimizer.parameters, (tensor) => float32(...tensor.shape));
  return {
    frozen: frozenSpecs,
    parameters: trained,
    accumulators: trained,
    sample: sampleSpecs(model.heads, shape),
  };
}

/** Takes the `losses` of a step program apart, and disposes them. */
export async function readLosses(
  tensor: DeviceTensor,
  model: StepModel,
  shape: StepShape,
): Promise<SampleLosses> {
  const values = await tensor.read();
  const losses = LOSS_TERMS.map((term, index) => [
    term,
    isPresent(model, term, shape) ? values[index]! : null,
  ]);
  tensor.dispose();
  return Object.fromEntries(losses);
}

/** Whether a sample of a shape has a term, and its weight is not 0. */
export function isPresent({ losses, heads }: StepModel, term: LossTerm, shape: StepShape): boolean {
  if (term === 'total') return true;
  if (losses.weights[term] === 0) return false;
  if (term === 'text') return shape.targets > 0;
  if (term === 'distillation') return shape.featureChannels > 0;
  return shape.geometry && heads.tasks.includes(term);
}
