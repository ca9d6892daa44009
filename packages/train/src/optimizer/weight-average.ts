import {
  type CompiledProgram,
  compile,
  createTensor,
  float32,
  placeTensors,
  type Tensor,
  tf,
} from '@spatialsv/engine';
import { mapValues } from '../records.js';
import type { Tensors } from './group-update.js';

type Named = Readonly<Record<string, Tensor>>;

/**
 * Exponential moving average of parameters: a₁ = θ₁, aₜ = aₜ₋₁ + (1 − d)(θₜ − aₜ₋₁) after optimiser step t.
 * Source: torch.optim.swa_utils.AveragedModel with get_ema_multi_avg_fn.
 */
export class WeightAverage {
  readonly tensors: Tensors;
  readonly #parameters: Tensors;
  readonly #decay: number;
  readonly #program: CompiledProgram;

  private constructor(
    tensors: Tensors,
    parameters: Tensors,
    decay: number,
    program: CompiledProgram,
  ) {
    this.tensors = tensors;
    this.#parameters = parameters;
    this.#decay = decay;
    this.#program = program;
  }

  /** @param decay d of the average. */
  static async create(parameters: Tensors, decay: number, device: string): Promise<WeightAverage> {
    const specs = mapValues(parameters, ({ shape }) => float32(...shape));
    const program = ({
      averages,
      parameters: values,
      share,
    }: {
      readonly averages: Named;
      readonly parameters: Named;
      readonly share: Tensor;
    }) => ({
      averages: mapValues(averages, (average, name) =>
        tf.add(average, tf.mul(tf.sub(values[name]!, average), share)),
      ),
    });
    const compiled = await compile(
      program,
      { averages: specs, parameters: specs, share: float32() },
      { device, state: ['averages'], name: 'weight-average' },
    );
    const tensors = mapValues(specs, (spec) => createTensor(spec, undefined, device));
    await placeTensors(Object.values(tensors), device);
    const average = new WeightAverage(tensors, parameters, decay, compiled);
    // Before the first step the average is what there is.
    await average.update(1);
    return average;
  }

  /** Takes in the parameters after step `t`, 1 for the first. */
  async update(t: number): Promise<void> {
    const share = t === 1 ? 1 : 1 - this.#decay;
    await this.#program.run({ averages: this.tensors, parameters: this.#parameters, share });
  }

  async dispose(): Promise<void> {
    await this.#program.dispose();
    for (const tensor of Object.values(this.tensors)) tensor.dispose();
  }
}
