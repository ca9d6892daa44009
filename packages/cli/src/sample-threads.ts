import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ThreadPool } from '@spatialsv/core';
import type {
  PreparationReply,
  PreparationRequest,
  TrainConfig,
  TrainOptions,
} from '@spatialsv/train';

/** What a thread needs to prepare the samples of a run. */
export interface SampleThreadData {
  readonly config: TrainConfig;
  /** Where plugins are looked for, unless the configuration names them. */
  readonly folder: string;
  /** Whether it reads labels. */
  readonly hasLabels: boolean;
}

/** What `train` prepares samples with, and what ends it. */
export interface SampleThreads {
  readonly preparation: TrainOptions['preparation'];
  readonly dispose: () => Promise<void>;
}

const THREAD = new URL('./sample-threads-main.js', import.meta.url);

/**
 * Threads that prepare the samples of a run, where the program is built. They read labels of stores; labels that a model makes during
 * the run are made beside it.
 */
export function openSampleThreads(config: TrainConfig, folder: string): SampleThreads {
  const { prepareThreads: threads, source, secondTeacher, arm } = config;
  if (threads === 0 || !existsSync(fileURLToPath(THREAD)))
    return { preparation: undefined, dispose: async () => undefined };
  const sources = secondTeacher === undefined ? [source] : [source, secondTeacher];
  const hasLabels = arm !== 'text' && sources.every(({ store }) => store !== undefined);
  const data: SampleThreadData = { config, folder, hasLabels };
  const pool = new ThreadPool<PreparationRequest, PreparationReply>({
    ...{ entry: THREAD, data },
    ...(threads !== undefined && { threads }),
  });
  return { preparation: { threads: pool, hasLabels }, dispose: () => pool.dispose() };
}
