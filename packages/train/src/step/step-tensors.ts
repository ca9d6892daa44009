import {
  allocateTensor,
  createTensor,
  type DeviceTensor,
  type HostArray,
  type RunValue,
  type TensorSpec,
  type Tree,
} from '@spatialsv/engine';
import { BLOCK_INPUTS, type LayeredContext, pick, rowsOf, stateName } from './layered-programs.js';

type Outputs = Readonly<Record<string, DeviceTensor>>;

/** What the programs of a step hand to each other. */
export class StepTensors {
  /** What all blocks read, by name. */
  readonly shared: Outputs;
  /** Inputs of the layers in their order, and behind them the output of the last one; each (T, C). */
  readonly kept: readonly DeviceTensor[];
  /** Gradients of those that the losses read, by name. */
  readonly dx: Outputs;

  private constructor(shared: Outputs, kept: readonly DeviceTensor[], dx: Outputs) {
    this.shared = shared;
    this.kept = kept;
    this.dx = dx;
  }

  /** @param depth layers that are applied. @param read those whose outputs the losses read. */
  static async create(
    context: LayeredContext,
    pack: Readonly<Record<string, Tree<RunValue>>>,
    { depth, read }: { readonly depth: number; readonly read: readonly number[] },
  ): Promise<StepTensors> {
    const { device } = context;
    const made: DeviceTensor[] = [];
    const rows = async () => {
      const tensor = await allocateTensor(rowsOf(context), device);
      made.push(tensor);
      return tensor;
    };
    try {
      for (let layer = 0; layer <= depth; layer++) await rows();
      const kept = [...made];
      const dx: Record<string, DeviceTensor> = {};
      for (const layer of read) dx[stateName(layer)] = await rows();
      return new StepTensors(sharedOf(context, pack), kept, dx);
    } catch (error) {
      for (const tensor of made) tensor.dispose();
      throw error;
    }
  }

  /** Takes what all blocks read of another pack of the same shape. */
  async rewrite(pack: Readonly<Record<string, Tree<RunValue>>>): Promise<void> {
    for (const [name, tensor] of Object.entries(this.shared))
      await tensor.write(pack[name] as HostArray);
  }

  dispose(): void {
    const { shared, kept, dx } = this;
    for (const tensor of [...Object.values(shared), ...kept, ...Object.values(dx)])
      tensor.dispose();
  }
}

function sharedOf(
  { pack: specs, device }: LayeredContext,
  pack: Readonly<Record<string, Tree<RunValue>>>,
): Outputs {
  const tensors = Object.entries(pick(pack, BLOCK_INPUTS)).map(([name, value]) => [
    name,
    createTensor(specs[name] as TensorSpec, value as HostArray, device),
  ]);
  return Object.fromEntries(tensors);
}
