import { EngineError } from '../errors.js';
import {
  type Binding,
  copyValue,
  type DeviceValue,
  type ExecutionProvider,
  recordingGate,
  uploadValue,
} from '../executor/index.js';
import type { ReplayCounts } from './device.js';

/** A binding of one session. */
export type RecordedBinding = Pick<Binding, 'run' | 'values'>;

/** Number of no CUDA graph: the nodes are run one by one. */
const NODE_BY_NODE = -1;
/** A graph takes memory of the driver; programs that are given other tensors at each run would make ever more. */
const MOST_GRAPHS = 1024;

const numbers = new WeakMap<DeviceValue, number>();
let numbered = 0;

function numberOf(value: DeviceValue): number {
  const known = numbers.get(value);
  if (known !== undefined) return known;
  numbered += 1;
  numbers.set(value, numbered);
  return numbered;
}

/**
 * Runs of a program on an NVIDIA GPU, recorded as CUDA graphs: one for each set of tensors that the program is given, as a graph has their
 * addresses in it. The first run with a set goes node by node, the second one is recorded, further ones are replayed.
 */
export class RecordedRuns {
  readonly #device: ExecutionProvider;
  readonly #name: string;
  /** By the numbers of the tensors; undefined for a set that was seen once. */
  readonly #graphs = new Map<string, number | undefined>();
  #recorded = 0;
  #replayed = 0;
  #plain = 0;

  constructor(device: ExecutionProvider, name: string) {
    this.#device = device;
    this.#name = name;
  }

  get counts(): ReplayCounts {
    return { recorded: this.#recorded, replayed: this.#replayed, plain: this.#plain };
  }

  /** @param binding of values that lie on the GPU, inputs and outputs. @throws EngineError RUN_FAILED. */
  async run(binding: RecordedBinding): Promise<void> {
    const { inputs, outputs } = binding.values;
    const key = [...inputs, ...outputs].map(numberOf).join();
    const graph = this.#graphs.get(key);
    if (graph !== undefined) {
      await binding.run({ graph });
      this.#replayed += 1;
      return;
    }
    const isKnown = this.#graphs.has(key);
    if (!isKnown && this.#graphs.size < MOST_GRAPHS) this.#graphs.set(key, undefined);
    if (isKnown) await this.#record(binding, key);
    else {
      await binding.run({ graph: NODE_BY_NODE });
      this.#plain += 1;
    }
  }

  /**
   * ONNX Runtime runs the nodes several times before it records, and once more what it has recorded. State would go on as often, so
   * it is put back, and the run itself is the first replay.
   */
  async #record(binding: RecordedBinding, key: string): Promise<void> {
    const { inputs, outputs } = binding.values;
    const state = inputs.filter((value) => outputs.includes(value));
    const before: DeviceValue[] = [];
    const graph = this.#recorded + 1;
    try {
      for (const value of state) before.push(await uploadValue(value, this.#device));
      await recordingGate
        .record(() => binding.run({ graph }))
        .catch((error: unknown) => {
          throw this.#refused(error as Error);
        })
        .finally(async () => {
          for (const [i, value] of state.entries()) await copyValue(before[i]!, value);
        });
    } finally {
      for (const value of before) value.dispose();
    }
    this.#recorded = graph;
    this.#graphs.set(key, graph);
    await binding.run({ graph });
    this.#replayed += 1;
  }

  #refused(cause: Error): EngineError {
    return new EngineError({
      code: 'RUN_FAILED',
      message: `${this.#name}: its run could not be recorded as a CUDA graph: ${cause.message}`,
      hint: 'Leave CUDA graphs off (cudaGraphs: false): programs then run node by node. No state has changed.',
      cause,
    });
  }
}
