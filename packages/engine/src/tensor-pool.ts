import type { CompiledProgram, DeviceTensor, RunOptions, RunValue } from './devices/index.js';
import { sizeOf } from './graph/graph.js';
import type { TensorSpec, Tree } from './specs.js';
import { flatten, isTensorSpec, nest } from './tree.js';

/** Every element type has four bytes, but for booleans, of which there are few. */
const ELEMENT_BYTES = 4;

/**
 * Runs programs into tensors that earlier runs have given back. Memory that was written before costs no page faults, which
 * take longer than the writing.
 */
export class TensorPool {
  /** Given back, in the order of giving. */
  readonly #free: DeviceTensor[] = [];
  /** Kinds of tensors that programs have asked for. Eager devices do not say before a run what they will give. */
  readonly #asked = new Set<string>();
  #capacity: number;

  /** @param capacity bytes of free tensors to keep; what was given back first is disposed first. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** As `program.run`. @returns outputs that belong to the caller: give them back, or dispose them. */
  async run<Results>(
    program: CompiledProgram<Results>,
    inputs: Tree<RunValue>,
    options?: RunOptions,
  ): Promise<Results> {
    const taken = flatten(program.outputs, isTensorSpec).flatMap(([name, spec]) => {
      const tensor = this.#take(spec);
      return tensor === undefined ? [] : [[name, tensor] as const];
    });
    try {
      return await program.run(inputs, nest(taken), options);
    } catch (error) {
      this.give(...taken.map(([, tensor]) => tensor));
      throw error;
    }
  }

  /** Values that were read of these tensors are overwritten by later runs: copy what is to stay. */
  give(...tensors: readonly DeviceTensor[]): void {
    for (const tensor of tensors) {
      if (this.#asked.has(kindOf(tensor))) this.#free.push(tensor);
      else tensor.dispose();
    }
    let bytes = this.#free.reduce((sum, tensor) => sum + bytesOf(tensor), 0);
    while (bytes > this.#capacity) {
      const oldest = this.#free.shift()!;
      bytes -= bytesOf(oldest);
      oldest.dispose();
    }
  }

  /** What is given back later, by a run that was still under way, is disposed too. */
  dispose(): void {
    this.#capacity = 0;
    this.give();
  }

  #take(spec: TensorSpec): DeviceTensor | undefined {
    const kind = kindOf(spec);
    this.#asked.add(kind);
    const index = this.#free.findLastIndex((tensor) => kindOf(tensor) === kind);
    return index < 0 ? undefined : this.#free.splice(index, 1)[0];
  }
}

const kindOf = ({ dtype, shape }: TensorSpec): string => `${dtype} ${shape.join('×')}`;

const bytesOf = ({ shape }: TensorSpec): number => ELEMENT_BYTES * sizeOf(shape);
