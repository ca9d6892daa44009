import type { CompiledProgram, DeviceTensor, ProgramUse, TensorPool } from '@spatialsv/engine';

const isTensor = (node: object): node is DeviceTensor => 'dispose' in node;

/** Leaves of nested records. */
const leavesOf = (node: object): DeviceTensor[] =>
  isTensor(node) ? [node] : Object.values(node).flatMap((child) => leavesOf(child));

/** Tensors of one run: what was not given back to the pool on the way is given back at its end, also when it fails. */
export class TensorScope {
  readonly #pool: TensorPool;
  readonly #signal: AbortSignal | undefined;
  readonly #tensors = new Set<DeviceTensor>();

  /** @param signal looked at before every program. */
  constructor(pool: TensorPool, signal?: AbortSignal) {
    this.#pool = pool;
    this.#signal = signal;
  }

  /**
   * Runs one program; takes charge of its outputs.
   * @param release whether the program is done with all views and gives its memory back: the next program needs it.
   * @throws the reason of an aborted signal.
   */
  async run<Outputs extends object>(
    use: ProgramUse,
    inputs: Parameters<CompiledProgram['run']>[0],
    release: boolean,
  ): Promise<Outputs> {
    this.#signal?.throwIfAborted();
    const outputs = await use((program) => this.#pool.run(program, inputs, { release }));
    for (const tensor of leavesOf(outputs)) this.#tensors.add(tensor);
    return outputs as Outputs;
  }

  free(...trees: readonly object[]): void {
    for (const tensor of trees.flatMap(leavesOf))
      if (this.#tensors.delete(tensor)) this.#pool.give(tensor);
  }

  dispose(): void {
    this.free(...this.#tensors);
  }
}

/** Values of all views, copied out of device tensors. */
export class Collected {
  readonly #views: number;
  #values = new Float32Array();

  constructor(views: number) {
    this.#views = views;
  }

  async take(view: number, tensor: DeviceTensor): Promise<void> {
    this.put(view, (await tensor.read()) as Float32Array);
  }

  put(view: number, values: Float32Array): void {
    if (this.#values.length === 0) this.#values = new Float32Array(this.#views * values.length);
    this.#values.set(values, view * values.length);
  }

  values(): Float32Array {
    return this.#values;
  }
}
