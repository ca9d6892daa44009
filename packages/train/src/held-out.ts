import {
  compile,
  type DeviceTensor,
  ProgramCache,
  type ProgramTarget,
  takeValues,
} from '@spatialsv/engine';
import type { Criterion } from './config/criteria.js';
import { unlessBroken } from './data/run-samples.js';
import type { SampleInputs, SampleInputsBuilder } from './data/sample-inputs.js';
import type { TrainingData } from './data/training-data.js';
import type { Agreement } from './labels/consensus.js';
import type { ModelState } from './model-state.js';
import { heldOutProgram } from './step/held-out-program.js';
import type { SampleLosses } from './step/sample-runner.js';
import { readLosses } from './step/sample-step.js';
import type { StepModel } from './step/step-program.js';
import { type StepShape, stepKey } from './step/step-shape.js';
import { measuringSpecs } from './step/step-specs.js';
import { LOSS_TERMS, type LossTerm } from './step/terms.js';

/** What samples that are not learnt say of the model. */
export interface HeldOutMetrics {
  readonly samples: number;
  /** Samples that could not be read. */
  readonly skipped?: number;
  /** Means over the samples that have the term; null when none has. */
  readonly losses: Readonly<Record<LossTerm, number | null>>;
  /** Share of the answers that greedy decoding gives token by token; null without answers. */
  readonly accuracy: number | null;
  /** Mean over the views of the root mean square error of depth, in the unit in which it is learnt: the mean distance of the
   * points of a scene is 1. Null without depth. */
  readonly depthRmse: number | null;
  /** With two teachers: what they differ by, measured as `depthRmse`, and the mean weight that their agreement gives a pixel. */
  readonly teachers?: TeacherMetrics;
}

export interface HeldOutOptions extends ProgramTarget {
  readonly model: StepModel;
  readonly state: ModelState;
  readonly builder: Pick<SampleInputsBuilder, 'build'>;
  readonly data: TrainingData;
  /** Whether samples that cannot be read are left out. */
  readonly skipsBroken: boolean;
}

/** How far two teachers agree on some samples. */
export interface TeacherMetrics {
  /** Mean over the views of the root mean square difference of their depths, after alignment of their scales. */
  readonly depthRmse: number;
  /** Mean over the samples of the mean weight of a valid pixel in the depth loss. */
  readonly consensus: number;
}

interface SampleResult {
  readonly losses: SampleLosses;
  readonly isRight: boolean | undefined;
  /** Root mean square errors of the views. */
  readonly depth: readonly number[];
  readonly agreement: Agreement | undefined;
}

/** Shapes whose programs are kept compiled. */
const PROGRAMS = 16;

/** Samples that are measured, never learnt. */
export class HeldOut {
  readonly #options: HeldOutOptions;
  readonly #programs = new ProgramCache(PROGRAMS);

  constructor(options: HeldOutOptions) {
    this.#options = options;
  }

  /** Measures the model as it is. */
  async measure(): Promise<HeldOutMetrics> {
    const { builder, data, skipsBroken } = this.#options;
    const results: SampleResult[] = [];
    for await (const sample of data) {
      const inputs = await unlessBroken(skipsBroken, () => builder.build(sample, sample.labels));
      if (inputs !== undefined) results.push(await this.#measureSample(inputs));
    }
    const skipped = data.count - results.length;
    return { ...summarise(results), ...(skipped > 0 && { skipped }) };
  }

  async #measureSample({ shape, tensors, agreement }: SampleInputs): Promise<SampleResult> {
    const { state, model } = this.#options;
    const inputs = {
      frozen: state.frozenTensors,
      parameters: state.published,
      sample: tensors,
    };
    const { losses, missed, depthErrors } = await this.#programs.use(
      stepKey(shape),
      () => this.#compile(shape),
      async (program) =>
        (await program.run(inputs)) as Record<string, DeviceTensor> & { losses: DeviceTensor },
    );
    const wrong = await readAll(missed);
    return {
      losses: (await readLosses(losses, model, [shape]))[0]!,
      isRight: wrong && wrong[0] === 0,
      depth: ((await readAll(depthErrors)) ?? []).map(Math.sqrt),
      agreement,
    };
  }

  #compile(shape: StepShape) {
    const { model, state, device, precision } = this.#options;
    const specs = measuringSpecs(model, state, shape);
    return compile(heldOutProgram(model, shape), specs, { device, precision, name: 'held-out' });
  }

  dispose(): Promise<void> {
    return this.#programs.dispose();
  }
}

const readAll = async (tensor: DeviceTensor | undefined): Promise<number[] | undefined> =>
  tensor && Array.from(await takeValues(tensor));

const mean = (values: readonly number[]): number | null =>
  values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;

function summarise(results: readonly SampleResult[]): HeldOutMetrics {
  const terms = LOSS_TERMS.map((term) => [
    term,
    mean(results.flatMap(({ losses }) => losses[term] ?? [])),
  ]);
  const teachers = teacherMetrics(results.map(({ agreement }) => agreement));
  return {
    samples: results.length,
    losses: Object.fromEntries(terms),
    accuracy: mean(results.flatMap(({ isRight }) => (isRight === undefined ? [] : [+isRight]))),
    depthRmse: mean(results.flatMap(({ depth }) => depth)),
    ...(teachers && { teachers }),
  };
}

/** @returns undefined where no sample has labels of two teachers. */
export function teacherMetrics(
  agreements: readonly (Agreement | undefined)[],
): TeacherMetrics | undefined {
  const known = agreements.flatMap((agreement) => agreement ?? []);
  const depthRmse = mean(known.flatMap(({ depthErrors }) => depthErrors));
  const consensus = mean(known.map((agreement) => agreement.consensus));
  return depthRmse === null || consensus === null ? undefined : { depthRmse, consensus };
}

/** Higher is better. @returns undefined where the samples do not tell. */
export function scoreOf(metrics: HeldOutMetrics, criterion: Criterion): number | undefined {
  const { accuracy, depthRmse, losses } = metrics;
  if (criterion === 'accuracy') return accuracy ?? undefined;
  const error = criterion === 'depthRmse' ? depthRmse : losses.total;
  return error === null ? undefined : -error;
}
