import { dptGeometryHead, headsConfigSchema, lossConfigSchema } from '@spatialsv/core';
import { PRECISIONS } from '@spatialsv/engine';
import { z } from 'zod';
import { SCHEDULES } from '../optimizer/schedule.js';
import { armKeys, armProblems, type HeadsOptions, resolveArm } from './arms.js';
import { CRITERIA } from './criteria.js';

const count = z.int().positive();
const rate = z.number().min(0);

const share = z.number().min(0).max(1);

const datasetFields = z.strictObject({
  /** Id of a data set format, of core or of a plugin; found out from the file where absent. */
  format: z.string().min(1).optional(),
  path: z.string().min(1),
  /** Folder that image paths are relative to; found beside or above the file where absent. */
  imageRoot: z.string().min(1).optional(),
  /** How the questions are put, where the format knows several ways; its usual one where absent. */
  prompt: z.string().min(1).optional(),
  /** Settings of the format itself; its documentation lists them. */
  settings: z.record(z.string(), z.unknown()).optional(),
  /** Keep only the first so many samples. */
  limit: count.optional(),
  /** Which of the samples are used, as shares of their shuffled list: [0, 0.5] and [0.5, 1] are two halves. */
  part: z
    .tuple([share, share])
    .refine(([from, to]) => from < to, { message: 'the first share must be below the second' })
    .default([0, 1]),
  /** How often a sample is seen in an epoch; below 1, other samples come in the next epoch. */
  ratio: z.number().positive().default(1),
  /** Of the shuffled list of `part` and of the turns that `ratio` makes; that of the run where absent. */
  seed: z.int().min(0).optional(),
  /** Whether answers are learnt; without them the samples train the 3D losses alone. */
  text: z.boolean().default(true),
  /** Whether labels are learnt; without them the samples train the text loss alone. */
  labels: z.boolean().default(true),
});

const dataset = datasetFields.refine(({ text, labels }) => text || labels, {
  message: 'without text and without labels there is nothing to learn',
});

const sourceOptions = z.strictObject({
  /** Id of a label source, or `none`. */
  name: z.string().min(1).default('none'),
  /** Label store to read the labels from; without it the source makes them during the run. */
  store: z.string().min(1).optional(),
  /** Folder or file of the source's weights, for sources that have any. */
  weights: z.string().min(1).optional(),
  /** Settings of the source itself; its documentation lists them. */
  settings: z.record(z.string(), z.unknown()).optional(),
  /**
   * Labels are used for every n-th sample of the run, the others train the text loss alone. Views come before the
   * question, so questions about the same views repeat the same geometry: more than 1 saves time at little loss.
   */
  every: count.default(1),
  /** Size of the labels that is asked for; the source's own where absent. */
  height: count.optional(),
  width: count.optional(),
});

const OF_STORE = 'labels of a store were made before: give either store, or weights and settings';

/** Whether what is opened is either a store or a source. */
const storeOrSource = ({
  store,
  weights,
  settings,
}: {
  readonly store?: string | undefined;
  readonly weights?: string | undefined;
  readonly settings?: unknown;
}) => store === undefined || (weights === undefined && settings === undefined);

/** Labels that say what pixels of those of `source` count: the less, the more the two disagree. */
const secondTeacher = z
  .strictObject({
    ...{ name: z.string().min(1), store: sourceOptions.shape.store },
    ...{ weights: sourceOptions.shape.weights, settings: sourceOptions.shape.settings },
    /** Relative difference at which a pixel counts half. */
    tolerance: z.number().positive().default(0.1),
  })
  .refine(storeOrSource, { message: OF_STORE });

/** `source: synthetic` is short for `source: { name: synthetic }`. */
const source = z.preprocess(
  (value) => (typeof value === 'string' ? { name: value } : value),
  sourceOptions.refine(storeOrSource, { message: OF_STORE }),
);

const optimizer = z.strictObject({
  /** Those of the model (Table 6 of the paper) where absent. A rate of 0 freezes the group. */
  learningRates: z
    .strictObject({
      languageModel: rate.optional(),
      projector: rate.optional(),
      spatial: rate.optional(),
    })
    .prefault({}),
  betas: z.tuple([z.number().min(0).lt(1), z.number().min(0).lt(1)]).default([0.9, 0.999]),
  epsilon: z.number().positive().default(1e-8),
  weightDecay: rate.default(0),
  /** Name patterns of parameters that weight decay leaves alone; those of one dimension, biases and norms, where absent. */
  noDecay: z.array(z.string().min(1)).optional(),
  /** Bits of a value of the moments. */
  stateBits: z.union([z.literal(8), z.literal(32)]).default(32),
  /** Largest global gradient norm. */
  gradientClip: z.number().positive().default(1),
});

const schedule = z
  .strictObject({
    /** What follows the warm-up. */
    type: z.enum(SCHEDULES).default('cosine'),
    /** Optimiser steps; or `epochs`. */
    steps: count.optional(),
    epochs: z.number().positive().optional(),
    /** Share of the steps over which the rate rises from 0. */
    warmupRatio: z.number().min(0).max(1).default(0.03),
  })
  .refine((value) => value.steps === undefined || value.epochs === undefined, {
    message: 'give either steps or epochs, not both',
  });

/** Exponential moving average of the trained parameters. */
const ema = z.strictObject({
  /** d of a ← d·a + (1 − d)·θ after every step. */
  decay: z.number().min(0).lt(1).default(0.999),
  /** Whether held-out samples are measured with the averages, and the model files of checkpoints hold them. */
  use: z.boolean().default(true),
});

/** `type` names the heads; the other keys are theirs. Those of `dpt` are checked here, a plugin's when it is loaded. */
const heads = z
  .looseObject({ type: z.string().min(1).default(dptGeometryHead.id) })
  .transform(({ type, ...options }, context): HeadsOptions => {
    if (type !== dptGeometryHead.id) return { type, ...options };
    const result = headsConfigSchema.safeParse(options);
    if (result.success) return { type, ...result.data };
    const issues = result.error.issues.map((issue) => ({ ...issue, input: options }));
    context.issues.push(...(issues as z.core.$ZodRawIssue[]));
    return z.NEVER;
  });

/** How the parameters of a part are trained: every value, low-rank updates beside frozen ones, or not at all. */
const mode = z.enum(['full', 'lora', 'frozen']);

/** Parts of a model, as the paper's learning rates name them (Table 6). */
const trainedParts = z.strictObject({
  /** The language model; where absent `full`, or `lora` beside the key `lora` where nothing else is. */
  llm: mode.optional(),
  /** The projector from the vision encoder to the language model. */
  mm: mode.default('full'),
  /** 3D projectors, heads and the projector of distillation. */
  heads3d: z.enum(['full', 'frozen']).default('full'),
  /** Its output is computed once per view. */
  vision: z.literal('frozen').default('frozen'),
  /** Name patterns, with `*` and `**`, of parameters that are trained in another way than their part; the last that fits counts. */
  names: z.record(z.string().min(1), mode).default({}),
});

/** Low-rank updates of the parts whose mode is `lora`. */
const lora = z.strictObject({
  rank: count.default(16),
  /** The update is scaled by alpha / rank. */
  alpha: z.number().positive().default(32),
  /**
   * Linear layers that get an update: names or ends of names such as `q_proj`, or patterns with `*` and `**`; where absent all
   * of the part, but for the embedding and the output matrix.
   */
  targets: z.array(z.string().min(1)).min(1).optional(),
  /** Share of the inputs of an update that is dropped while training. */
  dropout: z.number().min(0).lt(1).default(0),
});

/** Weights of the terms that are learnt with the model, as their uncertainty asks. */
const adaptiveWeights = z.preprocess(
  (value) => (value === true ? {} : value === false ? undefined : value),
  z
    .strictObject({
      /** Of the log-variances. */
      learningRate: z.number().positive().default(1e-3),
      /** Largest magnitude of a log-variance: weights stay between exp(−limit) and exp(limit) times those of `losses.weights`. */
      limit: z.number().positive().default(3),
    })
    .optional(),
);

const layer = z.union([z.int().min(0), z.string().min(1)]);

/** Samples that are measured while the run goes on, never learnt. */
const evaluation = z.strictObject({
  data: z.array(dataset).min(1),
  /** Optimiser steps between two measurements; the last step is always measured. */
  every: count.default(500),
  /** What says which checkpoint is the best. */
  best: z.enum(CRITERIA).default('loss'),
});

/** Samples whose views are lifted while the run goes on: the first of those that are held out, else of those that are learnt. */
const watch = z.strictObject({
  /** Optimiser steps between two looks; the state before the first and after the last step is always looked at. */
  every: count.default(500),
  /** How many view sets. */
  samples: count.default(4),
});

const fields = z.strictObject({
  /** Folder of a Hugging Face checkpoint. */
  model: z.string().min(1),
  data: z.array(dataset).min(1),
  source: source.prefault({}),
  secondTeacher: secondTeacher.optional(),
  heads: heads.prefault({}),
  losses: lossConfigSchema.prefault({}),
  adaptiveWeights,
  ...armKeys,
  /**
   * Layers whose hidden states feed the heads, as many as they take: numbers (0 = embeddings) or names of sites. One alone is
   * taken as often as the heads take layers. The backbone's own where absent.
   */
  layers: z
    .union([layer, z.array(layer).min(1)], {
      error: 'expected a layer (its number, or the name of a site) or a list of layers',
    })
    .optional(),
  train: trainedParts.prefault({}),
  lora: lora.optional(),
  /**
   * What is computed a second time in the backward pass instead of being kept: nothing, the inside of every decoder layer, or
   * what the memory that there is asks for.
   */
  recompute: z.enum(['none', 'layer', 'auto']).default('none'),
  /**
   * Names of the parameters that are trained, with `*` for anything within a dotted part and `**` for any number of parts;
   * all of the groups whose rate is above 0 where absent.
   */
  trained: z.array(z.string().min(1)).min(1).optional(),
  optimizer: optimizer.prefault({}),
  schedule: schedule.prefault({}),
  ema: ema.optional(),
  evaluation: evaluation.optional(),
  /**
   * Longest sequence, in tokens, into which short samples of a step are joined; every sample is computed by itself where absent.
   */
  packTokens: count.optional(),
  /** Samples that are made ready while one is computed. */
  prepareAhead: z.int().min(1).default(2),
  /** Threads that prepare samples; 0 for none. One for four cores where absent. */
  prepareThreads: z.int().min(0).max(16).optional(),
  /** Whether a sample whose images or labels cannot be read ends the run, or is left out and counted. */
  brokenSamples: z.enum(['stop', 'skip']).default('stop'),
  /** Samples that are lifted while the run goes on, for `spatialsv view`; none where absent. */
  watch: watch.optional(),
  /** Optimiser steps between two looks at the gradients of each term; never where absent. */
  gradientStatisticsEvery: count.optional(),
  /** Whether metrics are also written as TensorBoard event files. */
  tensorboard: z.boolean().default(true),
  /** Samples per optimiser step, by accumulation. */
  batchSize: count.default(16),
  /** Whether the run may only use labels whose licence allows commercial use. */
  commercialUse: z.boolean().default(false),
  /** How the model is opened. */
  backbone: z
    .strictObject({
      /** Settings of the family; its documentation lists them. */
      settings: z.record(z.string(), z.unknown()).optional(),
    })
    .prefault({}),
  /** Pixels per view, for families whose views follow the size of their images. */
  imageBudget: z
    .strictObject({ minPixels: count.optional(), maxPixels: count.optional() })
    .prefault({}),
  seed: z.int().min(0).default(0),
  /** Optimiser steps between checkpoints; 0 writes only the last one. */
  checkpointEvery: z.int().min(0).default(500),
  /** Checkpoints kept; older ones are deleted. */
  keepCheckpoints: count.default(2),
  /** Folder where vision features are kept between runs; in memory only where absent. */
  featureCache: z.string().min(1).optional(),
  /** Plugins to load, as package names or paths; those of the package.json beside the file where absent. */
  plugins: z.array(z.string().min(1)).optional(),
  /** Run folder. */
  out: z.string().min(1),
  device: z.string().min(1).default('cpu'),
  /** Of products and attention; float32 where absent, bfloat16 on GPUs that compute in it. Weights and sums are float32. */
  precision: z.enum(PRECISIONS).optional(),
  /** Records the programs of a step as CUDA graphs, of an NVIDIA GPU. */
  cudaGraphs: z.boolean().default(false),
});

type Trained = Pick<z.output<typeof fields>, 'train' | 'lora'>;

/** Whoever names low-rank updates without saying of what means the language model. */
const resolveTrained = <Input extends Trained>({ train, lora: updates, ...config }: Input) => {
  const isSaid = [train.llm, train.mm, ...Object.values(train.names)].includes('lora');
  const llm = train.llm ?? (updates === undefined || isSaid ? 'full' : 'lora');
  return { ...config, train: { ...train, llm }, lora: updates ?? lora.parse({}) };
};

/** The whole of a training configuration file. What it gives back it takes again, unchanged. */
export const trainConfigSchema = fields
  .superRefine((config, context) => {
    for (const { path, message } of armProblems(config, dptGeometryHead.id))
      context.addIssue({ code: 'custom', path: [path], message });
  })
  .transform((config) => resolveTrained(resolveArm(config, dptGeometryHead.id)));

/** As it is written: what is absent comes from the model. */
export type TrainConfig = z.output<typeof trainConfigSchema>;

export type TrainConfigInput = z.input<typeof trainConfigSchema>;
