import type { LossConfig } from '@spatialsv/core';
import { z } from 'zod';

/**
 * What supervises a run (Table 1): the text alone, the text and the features of a 3D model (eq. 2), or the text and 3D tasks
 * (eq. 5), with or without features.
 */
export const ARMS = ['text', 'distill', 'spatialsv'] as const;
export type Arm = (typeof ARMS)[number];

/** Kinds of 3D-aware supervision, as Table 3 names them. */
export const SIGNALS = ['feat', 'dep', 'poi', 'ray'] as const;
export type Signal = (typeof SIGNALS)[number];

/** Term of equation 6 that a signal gives. */
const TERM_OF_SIGNAL = {
  feat: 'distillation',
  dep: 'depth',
  poi: 'point',
  ray: 'ray',
} as const satisfies Record<Signal, keyof LossConfig['weights']>;

/** Projectors of Table 4: one for all tapped layers, or one for each. The names are the keys', the values those of the heads. */
const PROJECTORS = { shared: 'shared', four: 'decoupled' } as const;

/** Keys of a configuration that make an arm or an ablation of it. */
export const armKeys = {
  /** Where absent: `spatialsv` with a label source, `text` without one. */
  arm: z.enum(ARMS).optional(),
  /** Those of Table 3 that are used; all that the arm has where absent. */
  signals: z.array(z.enum(SIGNALS)).optional(),
  /** Projectors of the heads (Table 4); what `heads` says where absent. */
  projectors: z.enum(['shared', 'four']).optional(),
};

interface ArmInput {
  readonly arm?: Arm | undefined;
  readonly signals?: readonly Signal[] | undefined;
  readonly projectors?: keyof typeof PROJECTORS | undefined;
  readonly source: { readonly name: string; readonly store?: string | undefined };
  readonly secondTeacher?: object | undefined;
  readonly heads: HeadsOptions;
  readonly losses: LossConfig;
}

export interface HeadsOptions {
  readonly type: string;
  readonly [option: string]: unknown;
}

/** An arm with everything that follows from it. */
export interface ResolvedArm {
  readonly arm: Arm;
  readonly signals: readonly Signal[];
  readonly heads: HeadsOptions;
  readonly losses: LossConfig;
}

/**
 * Works out arm and signals, and what they leave of the losses and of the tasks of the heads: a term whose signal is not used
 * has weight 0, and heads that no signal trains are not made.
 * @param taskHeads id of the heads whose tasks and projectors are options; those of plugins know their own.
 */
export function resolveArm<Input extends ArmInput>(
  config: Input,
  taskHeads: string,
): Omit<Input, keyof ResolvedArm> & ResolvedArm {
  const arm = config.arm ?? (hasLabels(config) ? 'spatialsv' : 'text');
  const signals = SIGNALS.filter((signal) => used(config, arm, taskHeads).includes(signal));
  const terms = signals.map((signal): string => TERM_OF_SIGNAL[signal]);
  const keep = (weight: number, term: string) =>
    term === 'text' || terms.includes(term) ? weight : 0;
  const weights = Object.entries(config.losses.weights).map(([term, w]) => [term, keep(w, term)]);
  return {
    ...config,
    arm,
    signals,
    losses: { ...config.losses, weights: Object.fromEntries(weights) as LossConfig['weights'] },
    heads: config.heads.type === taskHeads ? limitHeads(config, terms) : config.heads,
  };
}

const hasLabels = ({ source: { name, store } }: ArmInput): boolean =>
  name !== 'none' || store !== undefined;

function used(config: ArmInput, arm: Arm, taskHeads: string): readonly Signal[] {
  if (arm === 'text') return [];
  if (arm === 'distill') return ['feat'];
  const { heads, losses } = config;
  const tasks = heads.type === taskHeads ? (heads['tasks'] as readonly string[]) : undefined;
  const isWanted = (signal: Signal) => {
    const term = TERM_OF_SIGNAL[signal];
    return losses.weights[term] > 0 && (signal === 'feat' || (tasks?.includes(term) ?? true));
  };
  return (config.signals ?? SIGNALS).filter(isWanted);
}

function limitHeads({ heads, projectors }: ArmInput, terms: readonly string[]): HeadsOptions {
  const tasks = (heads['tasks'] as readonly string[]).filter((task) => terms.includes(task));
  return { ...heads, tasks, ...(projectors && { projectors: PROJECTORS[projectors] }) };
}

/** What does not fit together about the keys of an arm: path of the key and message. */
export function armProblems(
  config: ArmInput,
  taskHeads: string,
): readonly { readonly path: string; readonly message: string }[] {
  const { arm, signals, projectors, heads } = config;
  const problems: { path: string; message: string }[] = [];
  if (arm !== undefined && arm !== 'text' && !hasLabels(config))
    problems.push({ path: 'arm', message: `'${arm}' learns from labels: name a \`source\`` });
  if (arm === 'text' && (signals ?? []).length > 0)
    problems.push({ path: 'signals', message: "arm 'text' has no 3D signals" });
  if (arm === 'distill' && signals !== undefined && signals.join() !== 'feat')
    problems.push({ path: 'signals', message: "arm 'distill' has the signal feat alone" });
  if (arm === 'spatialsv' && used(config, arm, taskHeads).length === 0)
    problems.push({ path: 'signals', message: 'no signal is left to learn from' });
  const hasTasks = used(config, arm ?? 'spatialsv', taskHeads).some((signal) => signal !== 'feat');
  if (config.secondTeacher !== undefined && !(hasLabels(config) && hasTasks))
    problems.push({
      path: 'secondTeacher',
      message: 'says what pixels of depth, rays and points count, and none of them is learnt',
    });
  if (projectors !== undefined && heads.type !== taskHeads)
    problems.push({
      path: 'projectors',
      message: `an option of the heads '${taskHeads}', not of '${heads.type}'`,
    });
  return problems;
}
