import { stepKey } from '../step/step-shape.js';
import type { LeftOutSample, ReadySample, RunSamples } from './run-samples.js';

export interface PackOptions {
  /** Samples of an optimiser step: a pack holds samples of one step alone. */
  readonly batchSize: number;
  /** Longest sequence of a pack; without it every sample is one. A longer sample is one by itself. */
  readonly tokens: number | undefined;
  /** Position behind the last sample of the run. */
  readonly end: number;
  /** Told of every pack before it is taken. */
  readonly onPack: (samples: readonly ReadySample[]) => void;
}

/** Samples that are computed together. */
export interface Pack {
  /** Those of equal shapes stand together; none where all are left out. */
  readonly samples: readonly ReadySample[];
  /** Those between them that could not be read. */
  readonly leftOut: readonly LeftOutSample[];
  /** Position of the next pack. */
  readonly behind: number;
}

/**
 * Joins neighbouring samples of a step, in their order, as long as they fit a sequence. The next pack is put together while one
 * is computed.
 */
export class PackReader {
  readonly #samples: Pick<RunSamples, 'take'>;
  readonly #options: PackOptions;
  /** The sample that did not fit the pack before it. */
  #left: ReadySample | undefined;
  #next: Promise<Pack> | undefined;

  constructor(samples: Pick<RunSamples, 'take'>, options: PackOptions) {
    this.#samples = samples;
    this.#options = options;
  }

  /** @param position that behind the pack before; of a sample to begin with for the first one. */
  async take(position: number): Promise<Pack> {
    const pack = await (this.#next ?? this.#join(position));
    const { tokens, end } = this.#options;
    this.#next = tokens !== undefined && pack.behind < end ? this.#join(pack.behind) : undefined;
    // A pack that fails fails where it is taken.
    this.#next?.catch(() => undefined);
    return pack;
  }

  async #join(first: number): Promise<Pack> {
    const { batchSize, tokens = 0, onPack } = this.#options;
    const end = (Math.floor(first / batchSize) + 1) * batchSize;
    const samples: ReadySample[] = [];
    const leftOut: LeftOutSample[] = [];
    let length = 0;
    let position = first;
    for (; position < end; position++) {
      // Nothing is read ahead of a sample that is computed by itself.
      if (tokens === 0 && position > first) break;
      const sample = await this.#take(position);
      if ('skip' in sample) {
        leftOut.push(sample);
        continue;
      }
      if (samples.length > 0 && length + sample.inputs.tokens > tokens) {
        this.#left = sample;
        break;
      }
      samples.push(sample);
      length += sample.inputs.tokens;
    }
    const sorted = samples.toSorted((a, b) => compare(orderOf(a), orderOf(b)));
    if (sorted.length > 0 && tokens > 0) onPack(sorted);
    return { samples: sorted, leftOut, behind: position };
  }

  async #take(position: number): Promise<ReadySample | LeftOutSample> {
    const left = this.#left;
    this.#left = undefined;
    return left ?? this.#samples.take(position);
  }
}

/** Equal for samples whose parts of a program are equal: packs of the same samples in another order share a program. */
const orderOf = ({ inputs }: ReadySample): string => stepKey({ ...inputs.shape, tokens: 0 });

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
