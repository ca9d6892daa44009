import {
  compile,
  type DeviceTensor,
  ProgramCache,
  type ProgramTarget,
  takeValues,
} from '@spatialsv/engine';
import type { SampleInputs } from './data/sample-inputs.js';
import { TRAINED_GROUPS } from './groups.js';
import type { ModelState } from './model-state.js';
import { gradientProgram, type NamesByGroup, termsOf } from './step/gradient-program.js';
import type { StepModel } from './step/step-program.js';
import { type StepShape, stepKey } from './step/step-shape.js';
import { measuringSpecs } from './step/step-specs.js';

/** What the gradients of the terms of one sample say of each other. */
export interface GradientMetrics {
  /** Norm of the gradient of each weighted term over the sum of the norms. */
  readonly share: Readonly<Record<string, number>>;
  /**
   * By group of parameters: cosine between the gradient of the text and that of each other term; null where one of them is 0. Absent
   * for a sample without text.
   */
  readonly cosineWithText?: Readonly<Record<string, Readonly<Record<string, number | null>>>>;
}

/** Shapes whose programs are kept compiled. */
const PROGRAMS = 4;

/** Takes the gradient of every term of a sample by itself. The graph is as large as several steps: for now and then. */
export class GradientStatistics {
  readonly #model: StepModel;
  readonly #state: ModelState;
  readonly #target: ProgramTarget;
  readonly #groups: NamesByGroup;
  readonly #programs = new ProgramCache(PROGRAMS);

  constructor(model: StepModel, state: ModelState, target: ProgramTarget) {
    this.#model = model;
    this.#state = state;
    this.#target = target;
    this.#groups = namesByGroup(model, state);
  }

  /** @returns undefined for a sample without terms. */
  async measure({ shape, tensors }: SampleInputs): Promise<GradientMetrics | undefined> {
    const terms = termsOf(this.#model, shape);
    if (terms.length === 0) return undefined;
    const { optimizer, frozenTensors } = this.#state;
    const inputs = { frozen: frozenTensors, parameters: optimizer.parameters, sample: tensors };
    const { squares, products } = await this.#programs.use(
      stepKey(shape),
      () => this.#compile(shape),
      async (program) =>
        (await program.run(inputs)) as { squares: DeviceTensor; products: DeviceTensor },
    );
    const groups = [...this.#groups.keys()];
    const rows = async (tensor: DeviceTensor) => {
      const values = Array.from(await takeValues(tensor));
      return terms.map((_, term) => values.slice(term * groups.length, (term + 1) * groups.length));
    };
    return summarise(terms, groups, await rows(squares), await rows(products));
  }

  #compile(shape: StepShape) {
    const specs = measuringSpecs(this.#model, this.#state, shape);
    return compile(gradientProgram(this.#model, shape, this.#groups), specs, {
      ...this.#target,
      name: 'gradient-statistics',
    });
  }

  dispose(): Promise<void> {
    return this.#programs.dispose();
  }
}

function namesByGroup({ backbone }: StepModel, { optimizer }: ModelState): NamesByGroup {
  const groupOf = (name: string) =>
    name.startsWith('spatial.') ? 'spatial' : backbone.parameterGroup(name);
  const names = Object.keys(optimizer.parameters);
  const groups = TRAINED_GROUPS.map(
    (group) => [group, names.filter((name) => groupOf(name) === group)] as const,
  );
  return new Map(groups.filter(([, members]) => members.length > 0));
}

function summarise(
  terms: readonly string[],
  groups: readonly string[],
  squares: readonly (readonly number[])[],
  products: readonly (readonly number[])[],
): GradientMetrics {
  const norms = squares.map((row) => Math.sqrt(row.reduce((sum, value) => sum + value, 0)));
  const whole = norms.reduce((sum, norm) => sum + norm, 0);
  const share = Object.fromEntries(
    terms.map((term, index) => [term, whole === 0 ? 0 : norms[index]! / whole]),
  );
  if (terms[0] !== 'text') return { share };
  const cosine = (term: number, group: number): number | null => {
    const length = Math.sqrt(squares[0]![group]! * squares[term]![group]!);
    return length === 0 ? null : products[term]![group]! / length;
  };
  const cosineWithText = groups.map((group, column) => {
    const others = terms.slice(1).map((term, index) => [term, cosine(index + 1, column)] as const);
    return [group, Object.fromEntries(others)] as const;
  });
  return { share, cosineWithText: Object.fromEntries(cosineWithText) };
}
