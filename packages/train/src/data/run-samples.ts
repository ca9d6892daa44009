import { errorMessage, extendError, SpatialError } from '@spatialsv/core';
import type { RunConfig } from '../config/run-config.js';
import type { SkipRecord } from '../run-folder/skipped.js';
import type { SampleRunner } from '../step/sample-runner.js';
import type { SampleInputs, SampleInputsBuilder } from './sample-inputs.js';
import { SampleOrder } from './sample-order.js';
import { SamplesAhead } from './samples-ahead.js';
import type { TrainingData, TrainingSample } from './training-data.js';

/** A sample that is ready to be computed. */
export interface ReadySample {
  /** What the sample is called in messages. */
  readonly id: string;
  readonly inputs: SampleInputs;
}

/** A sample that is left out, because it could not be read now or before. */
export interface LeftOutSample {
  readonly skip: SkipRecord;
  /** Whether the run folder has no record of it yet. */
  readonly isNew: boolean;
}

interface RunSamplesParts {
  readonly config: RunConfig;
  readonly data: TrainingData;
  readonly builder: Pick<SampleInputsBuilder, 'build'>;
  readonly runner: Pick<SampleRunner, 'prepare'>;
  /** What was left out before, by position. */
  readonly skips: ReadonlyMap<number, SkipRecord>;
  /** Samples that are prepared at a time. */
  readonly preparedAtOnce?: number | undefined;
}

/** The samples of a run in their order, made ready ahead. */
export class RunSamples {
  readonly #parts: RunSamplesParts;
  readonly #order: SampleOrder;
  readonly #ahead: SamplesAhead<ReadySample | LeftOutSample>;

  constructor(parts: RunSamplesParts) {
    const { config, data, preparedAtOnce: atOnce = 1 } = parts;
    const ahead = Math.max(config.prepareAhead, atOnce);
    this.#parts = parts;
    this.#order = new SampleOrder(data.sets, config.seed);
    this.#ahead = new SamplesAhead((position) => this.#fetch(position), ahead, atOnce);
  }

  /**
   * @param position in the order of the run.
   * @throws what reading it failed of, with its name, unless broken samples are skipped.
   */
  take(position: number): Promise<ReadySample | LeftOutSample> {
    return this.#ahead.take(position);
  }

  close(): Promise<void> {
    return this.#ahead.close();
  }

  async #fetch(position: number): Promise<ReadySample | LeftOutSample> {
    const { data, config, skips } = this.#parts;
    const known = skips.get(position);
    if (known !== undefined) return { skip: known, isNew: false };
    const sample = await data.at(this.#order.at(position));
    const id = sample.name;
    try {
      return { id, inputs: await this.#build(position, sample) };
    } catch (error) {
      if (config.brokenSamples === 'skip' && isBrokenInput(error)) {
        const step = Math.floor(position / config.batchSize) + 1;
        const { code, message } = error;
        return { skip: { position, step, sample: id, code, message }, isNew: true };
      }
      throw extendError(error, `sample '${id}': ${errorMessage(error)}`);
    }
  }

  async #build(position: number, sample: TrainingSample): Promise<SampleInputs> {
    const { builder, config, runner } = this.#parts;
    const isDue = position % config.source.every === 0 || sample.answer === undefined;
    const inputs = await builder.build(sample, isDue && sample.labels);
    // What is joined with others is prepared with them.
    if (config.packTokens === undefined) runner.prepare([inputs]);
    return inputs;
  }
}

const BROKEN: ReadonlySet<string> = new Set([
  'FILE_MISSING',
  'FILE_INVALID',
  'IMAGE_INVALID',
  'DATA_INVALID',
]);

/** Whether an error says that an image or a label is not there or cannot be read, rather than that something else is wrong. */
export const isBrokenInput = (error: unknown): error is SpatialError =>
  SpatialError.isInstance(error) && BROKEN.has(error.code);

/** @returns undefined where `work` meets a broken input, and those are skipped. */
export async function unlessBroken<Result>(
  skips: boolean,
  work: () => Promise<Result>,
): Promise<Result | undefined> {
  try {
    return await work();
  } catch (error) {
    if (skips && isBrokenInput(error)) return undefined;
    throw error;
  }
}
