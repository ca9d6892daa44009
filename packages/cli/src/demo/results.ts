import os from 'node:os';
import {
  type AccuracyReport,
  accuracyReport,
  type McNemarResult,
  mcNemar,
  type Prediction,
  tablePercentage,
} from '@spatialsv/eval';
import { formatTable } from '../context.js';
import { processorModel } from '../machine.js';
import type { DepthErrors } from './depth.js';
import type { DemoSettings } from './settings.js';

/** `results.json` of a demo. */
export interface DemoResults {
  readonly spatialsv: string;
  readonly machine: { readonly cpu: string; readonly threads: number; readonly node: string };
  readonly settings: DemoSettings;
  readonly accuracy: {
    readonly before: AccuracyReport;
    readonly after: AccuracyReport;
    /** Of the answers after training. */
    readonly significance: AccuracyReport['significance'];
    /** The same questions before and after. */
    readonly change: McNemarResult;
  };
  /** Unit: mean distance of the scene's visible points. */
  readonly depthRmse: {
    readonly before: DepthErrors;
    readonly after: DepthErrors;
    /** The mean depth of the training rooms everywhere. */
    readonly constant: DepthErrors;
    /** after / constant. */
    readonly ratio: number;
  };
  readonly goals: Readonly<Record<string, boolean>>;
  /** Wall-clock seconds by stage. */
  readonly seconds: Readonly<Record<string, number>>;
  readonly report: string;
}

export interface Measured {
  readonly predictions: {
    readonly before: readonly Prediction[];
    readonly after: readonly Prediction[];
  };
  readonly depth: Readonly<Record<'before' | 'after' | 'constant', DepthErrors>>;
}

/** What the demo is meant to reach. */
const GOAL_POINTS = 10;
const GOAL_P = 0.05;
const GOAL_RATIO = 0.6;

export function summarise(
  settings: DemoSettings,
  { predictions, depth }: Measured,
): Pick<DemoResults, 'machine' | 'settings' | 'accuracy' | 'depthRmse' | 'goals'> {
  const before = accuracyReport(predictions.before, settings.seed);
  const after = accuracyReport(predictions.after, settings.seed);
  const right = (rows: readonly Prediction[]) => rows.map((row) => row.extracted === row.gold);
  const ratio = depth.after.rmse / depth.constant.rmse;
  const { significance } = after;
  const { pointsOverFrequency, binomialP, permutationP } = significance;
  return {
    machine: {
      cpu: processorModel(),
      threads: os.availableParallelism(),
      node: process.version,
    },
    settings,
    accuracy: {
      before,
      after,
      significance,
      change: mcNemar(right(predictions.before), right(predictions.after)),
    },
    depthRmse: { ...depth, ratio },
    goals: {
      accuracyTenPointsOverFrequency: pointsOverFrequency >= GOAL_POINTS,
      accuracySignificant: Math.max(binomialP, permutationP) < GOAL_P,
      depthRmseBelowSixTenthsOfConstant: ratio <= GOAL_RATIO,
    },
  };
}

/** The results as a table for people. */
export function formatResults(results: DemoResults): string {
  const { accuracy, depthRmse, seconds } = results;
  const { after, before } = accuracy;
  const { total } = after.overall;
  const percent = (correct: number) => `${tablePercentage(correct, total)} %`;
  const length = ({ rmse }: DepthErrors) => rmse.toFixed(3);
  const table = formatTable([
    ['HELD-OUT ROOMS', 'BEFORE', 'AFTER', 'BESIDE'],
    [
      `answers right (${total} questions)`,
      percent(before.overall.correct),
      percent(after.overall.correct),
      `${percent(after.chance.frequency.perCategory)} always the most frequent letter`,
    ],
    ...kindRows(accuracy),
    [
      'depth RMSE (mean distance = 1)',
      length(depthRmse.before),
      length(depthRmse.after),
      `${length(depthRmse.constant)} the same depth everywhere`,
    ],
  ]);
  const p = after.significance.permutationP;
  const stages = Object.entries(seconds).map(([stage, value]) => `${stage} ${value.toFixed(0)} s`);
  return [
    table,
    `${signed(after.significance.pointsOverFrequency)} points over the most frequent letter, p = ${p.toPrecision(2)}`,
    `depth RMSE ${depthRmse.ratio.toFixed(2)} of the constant predictor`,
    `time: ${stages.join(', ')}`,
    `report: ${results.report}`,
    '',
  ].join('\n');
}

/** One row per kind of question: the total would hide which kinds were not learned. */
function kindRows({ before, after }: DemoResults['accuracy']): string[][] {
  return Object.entries(after.byCategory).map(([kind, { correct, total }]) => [
    `  ${kind} (${total})`,
    `${tablePercentage(before.byCategory[kind]?.correct ?? 0, total)} %`,
    `${tablePercentage(correct, total)} %`,
    '',
  ]);
}

const signed = (value: number): string => `${value >= 0 ? '+' : ''}${value.toFixed(1)}`;
