import { EngineError } from '../errors.js';
import { sizeOf } from '../graph/graph.js';
import { type MappedTensor, type WeightSpec, weightSpec } from '../specs.js';
import { availableMemory } from './available-memory.js';
import { StoredValues } from './stored-values.js';

/**
 * What programs read of weights in 16 bits: `mapped` takes them from their file in the type in which they are stored, the
 * smallest memory; `float32` from one converted copy of this process; `auto` chooses by the memory that is free.
 */
export const WEIGHT_POLICIES = ['auto', 'mapped', 'float32'] as const;
export type WeightPolicy = (typeof WEIGHT_POLICIES)[number];

export interface WeightSetOptions {
  /** `cpu` by default. GPUs keep their own copies, so there the policy is always `mapped`. */
  readonly device?: string;
  /** `auto` by default. */
  readonly policy?: WeightPolicy;
  /** Bytes that may be taken; what the system says by default. */
  readonly availableBytes?: number;
}

/** What was decided, for reports. */
export interface WeightReport {
  readonly policy: Exclude<WeightPolicy, 'auto'>;
  /** Why, in words. */
  readonly reason: string;
  /** Bytes in the files. */
  readonly storedBytes: number;
  /** Bytes of the float32 copy; 0 where there is none. */
  readonly copiedBytes: number;
}

/**
 * Weights of a model for programs that take them at each run. All programs, and all sets of this process, that read a
 * tensor share its bytes.
 */
export class WeightSet {
  readonly report: WeightReport;
  readonly #tensors: ReadonlyMap<string, MappedTensor>;
  readonly #held: StoredValues | undefined;

  constructor(
    tensors: Readonly<Record<string, MappedTensor>>,
    { device = 'cpu', policy = 'auto', availableBytes }: WeightSetOptions = {},
  ) {
    const entries = Object.entries(tensors);
    this.report = decide(Object.values(tensors), device, policy, availableBytes);
    const isCopied = this.report.policy === 'float32';
    this.#held = isCopied ? new StoredValues('cpu') : undefined;
    this.#tensors = new Map(
      entries.map(([name, tensor]) => [name, isCopied ? asFloat32(tensor) : tensor]),
    );
  }

  get names(): readonly string[] {
    return [...this.#tensors.keys()];
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  /** The place that a weight takes in a program. @throws EngineError INPUT_INVALID for an unknown name. */
  spec(name: string): WeightSpec {
    return weightSpec(this.value(name));
  }

  /** What a run is given for it; a leaf of specs where a program is to have it once and for all. @throws as {@link spec}. */
  value(name: string): MappedTensor {
    const tensor = this.#tensors.get(name);
    if (tensor !== undefined) return tensor;
    throw new EngineError({
      code: 'INPUT_INVALID',
      message: `"${name}" is none of the ${this.#tensors.size} weights of the set.`,
      hint: 'Open the set with every weight that programs read.',
    });
  }

  /** {@link value} of every name. */
  values(): Readonly<Record<string, MappedTensor>> {
    return Object.fromEntries(this.#tensors);
  }

  /**
   * Makes the float32 copies now, off the event loop, instead of each at its first use, and holds them until the set is
   * disposed. Pages of the files are given back on the way.
   * @throws EngineError FILE_INVALID.
   */
  async load(names: Iterable<string> = this.#tensors.keys()): Promise<void> {
    if (this.#held === undefined) return;
    // One after the other: each conversion uses all cores.
    for (const name of names) await this.#held.value(this.value(name));
  }

  /** Gives up the copies that {@link load} made; programs keep those that they use. */
  async dispose(): Promise<void> {
    await this.#held?.dispose();
  }
}

const asFloat32 = (tensor: MappedTensor): MappedTensor =>
  tensor.storedAs === 'F32' ? tensor : { ...tensor, readAs: 'F32' };

/** Room that stays free for what programs work with. */
const RESERVED_BYTES = 2 ** 31;
/** A copy takes at most this share of what is available. */
const LARGEST_SHARE = 0.75;

/** Bytes of the largest float32 copy that `auto` makes where so many bytes are available. */
export const largestWeightCopy = (availableBytes: number): number =>
  Math.max(0, Math.min(availableBytes * LARGEST_SHARE, availableBytes - RESERVED_BYTES));

function decide(
  tensors: readonly MappedTensor[],
  device: string,
  policy: WeightPolicy,
  availableBytes: number | undefined,
): WeightReport {
  const storedBytes = tensors.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const narrow = tensors.filter(({ storedAs }) => storedAs !== 'F32');
  const copiedBytes = narrow.reduce((sum, { shape }) => sum + 4 * sizeOf(shape), 0);
  const mapped = (reason: string): WeightReport => ({
    policy: 'mapped',
    reason,
    storedBytes,
    copiedBytes: 0,
  });
  const float32 = (reason: string): WeightReport => ({
    policy: 'float32',
    reason,
    storedBytes,
    copiedBytes,
  });
  if (device !== 'cpu') return mapped(`device ${device} keeps a copy of its own`);
  if (copiedBytes === 0) return mapped('the weights are stored as float32');
  if (policy !== 'auto') return (policy === 'mapped' ? mapped : float32)('as asked for');
  const available = availableBytes ?? availableMemory();
  const room = largestWeightCopy(available);
  const words = `a float32 copy takes ${gigabytes(copiedBytes)}, ${gigabytes(available)} are available`;
  return copiedBytes <= room ? float32(words) : mapped(words);
}

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;
