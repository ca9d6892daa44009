import {
  compile,
  type MappedTensor,
  ProgramCache,
  type ProgramTarget,
  type ProgramUse,
  type SpecTree,
  type Tensor,
  TensorPool,
  type Tree,
  tf,
} from '@spatialsv/engine';
import { type ParameterScope, parameterScope } from '../nn/index.js';

type Specs = Readonly<Record<string, SpecTree>>;

/** Bytes of tensors that go from program to program, kept for the next view set: those of eight views. */
const KEPT_TENSORS = 2 ** 29;

export interface NetworkOptions extends ProgramTarget {
  /** Before the key in the names of programs. */
  readonly name: string;
  readonly weights: Readonly<Record<string, MappedTensor>>;
  /** Programs that are kept. */
  readonly programs: number;
}

/** One part of a network. */
export interface NetworkPart<Inputs> {
  /** What the program is made for; the same key gives the same program. */
  readonly key: string;
  /** Inputs beside the weights. */
  readonly specs: Specs;
  /** Whether the part reads a weight. */
  readonly reads: (name: string) => boolean;
  /** @param root scope of the weights that the part reads. */
  readonly program: (root: ParameterScope, inputs: Inputs) => Tree<Tensor>;
  /** For parts that run often and whose weights are few: convolutions are prepared once. */
  readonly prepareWeights?: boolean;
  /** Whether the part stays float32 in a network of another precision. */
  readonly isExact?: boolean;
}

/**
 * The compiled parts of one network on one device. Each is made once per shape and reads its own share of the weights, so
 * that at no time more than one share has to be in memory. Dispose it.
 */
export class NetworkPrograms {
  /** What goes from program to program. */
  readonly tensors = new TensorPool(KEPT_TENSORS);
  readonly #options: NetworkOptions;
  readonly #programs: ProgramCache;

  constructor(options: NetworkOptions) {
    this.#options = options;
    this.#programs = new ProgramCache(options.programs);
  }

  /** Lends the program of a part; it takes the part's inputs, and nothing for the weights. */
  part<Inputs>({
    key,
    specs,
    reads,
    program,
    prepareWeights = false,
    isExact = false,
  }: NetworkPart<Inputs>): ProgramUse {
    const { name, weights, device, precision } = this.#options;
    const make = () => {
      const read = Object.entries(weights).filter(([weight]) => reads(weight));
      const traced = (inputs: Inputs & { readonly weights: Readonly<Record<string, Tensor>> }) =>
        program(parameterScope(inputs.weights), inputs);
      return compile(
        traced,
        { ...specs, weights: Object.fromEntries(read) },
        {
          device,
          prepareWeights,
          precision: isExact ? 'float32' : precision,
          name: `${name} ${key}`,
        },
      );
    };
    return (work) => this.#programs.use(key, make, work);
  }

  async dispose(): Promise<void> {
    this.tensors.dispose();
    await this.#programs.dispose();
  }
}

/** Tensors by number. */
type Numbered = Readonly<Record<string, Tensor>>;

/** (V, …) of the views' (1, …), by number. */
export function joinViews(states: Numbered, views: number): Tensor {
  const ordered = Array.from({ length: views }, (_, view) => states[view]!);
  return views === 1 ? ordered[0]! : tf.concat(ordered, 0);
}

/** (1, …) of each view, by number. */
export function perView(x: Tensor, views: number): Numbered {
  const parts = views === 1 ? [x] : (tf.split(x, views, 0) as Tensor[]);
  return Object.fromEntries(parts.map((part, view) => [view, part]));
}

/** The same value under the numbers 0 … count − 1. */
export const repeated = <T>(count: number, value: T): Record<string, T> =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [i, value]));
