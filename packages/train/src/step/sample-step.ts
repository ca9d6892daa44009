import { compile, type DeviceTensor, float32, ProgramCache } from '@spatialsv/engine';
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

/** Runs forward and backward passes, one compiled program per shape of sample. */
export class SampleStep {
  readonly #model: StepModel;
  readonly #state: ModelState;
  readonly #device: string;
  readonly #programs = new ProgramCache(PROGRAMS);

  constructor(model: StepModel, state: ModelState, device: string) {
    this.#model = model;
    this.#state = state;
    this.#device = device;
  }

  /** Has the program of a sample compiled, for a {@link run} to come. */
  prepare({ shape }: SampleInputs): void {
    this.#programs.prepare(stepKey(shape), () => this.#compile(shape));
  }

  /** Adds the gradients of a sample to the accumulators. */
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
    const values = await outputs.losses.read();
    const losses = LOSS_TERMS.map((term, index) => [
      term,
      this.#isPresent(term, shape) ? values[index]! : null,
    ]);
    outputs.losses.dispose();
    return Object.fromEntries(losses);
  }

  dispose(): Promise<void> {
    return this.#programs.dispose();
  }

  #compile(shape: StepShape) {
    const { optimizer, frozenSpecs } = this.#state;
    const trained = mapValues(optimizer.parameters, (tensor) => float32(...tensor.shape));
    return compile(
      stepProgram(this.#model, shape),
      {
        frozen: frozenSpecs,
        parameters: trained,
        accumulators: trained,
        sample: sampleSpecs(this.#model.heads, shape),
      },
      { device: this.#device, state: ['accumulators'], name: `step of ${shape.tokens} tokens` },
    );
  }

  #isPresent(term: LossTerm, shape: StepShape): boolean {
    const { losses, heads } = this.#model;
    if (term === 'total') return true;
    if (losses.weights[term] === 0) return false;
    if (term === 'text') return shape.targets > 0;
    if (term === 'distillation') return shape.featureChannels > 0;
    return shape.geometry && heads.tasks.includes(term);
  }
}
