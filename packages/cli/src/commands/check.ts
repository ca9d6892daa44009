import { SpatialError } from '@spatialsv/core/spec';
import { absentCheck } from '../check/absent-check.js';
import { checkBenchmark } from '../check/benchmark-check.js';
import { configCheck } from '../check/config-check.js';
import { dataCheck } from '../check/data-check.js';
import { evaluationCheck } from '../check/evaluation-check.js';
import { folderCheck } from '../check/folder-check.js';
import { imagesCheck } from '../check/images-check.js';
import { modelCheck } from '../check/model-check.js';
import { pluginsCheck } from '../check/plugins-check.js';
import {
  allFindings,
  type Check,
  type CheckContext,
  type CheckReport,
  formatCheck,
} from '../check/report.js';
import { suiteCheck, sweepCheck } from '../check/run-lists-check.js';
import { composePlugins } from '../composition.js';
import type { CommandContext } from '../context.js';
import { counted } from '../counted.js';

export interface CheckOptions {
  readonly format?: string;
  readonly imageRoot?: string;
  readonly benchmark?: string;
  readonly variant?: string;
  readonly model?: string;
  readonly pixels: boolean;
  readonly weights: boolean;
  readonly plan: boolean;
  readonly json: boolean;
}

/** The first that takes a path looks at it. */
const CHECKS: readonly Check[] = [
  absentCheck,
  modelCheck,
  evaluationCheck,
  pluginsCheck,
  suiteCheck,
  sweepCheck,
  configCheck,
  folderCheck,
  imagesCheck,
  dataCheck,
];

/** @throws SpatialError DATA_INVALID when there is an error among the findings; they are printed before. */
export async function check(
  paths: readonly string[],
  { json, ...options }: CheckOptions,
  context: CommandContext,
): Promise<void> {
  const plugins = await composePlugins(context.folder);
  const reports: CheckReport[] = [];
  for (const path of paths) {
    context.signal.throwIfAborted();
    context.progress.start(`Looking at ${path}`);
    reports.push(await lookAt(path, { ...context, ...options, plugins }));
  }
  context.progress.done();
  context.out(json ? `${JSON.stringify(reports, null, 2)}\n` : reports.map(formatCheck).join('\n'));
  endWithErrors(reports);
}

/** A benchmark that is named takes whatever lies there. */
async function lookAt(path: string, context: CheckContext): Promise<CheckReport> {
  const { benchmark } = context;
  if (benchmark !== undefined) return checkBenchmark(path, benchmark, context);
  return (await firstThatMatches(path)).run(path, context);
}

async function firstThatMatches(path: string): Promise<Check> {
  for (const candidate of CHECKS) if (await candidate.matches(path)) return candidate;
  return dataCheck;
}

function endWithErrors(reports: readonly CheckReport[]): void {
  const findings = reports.flatMap(allFindings);
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  if (errors === 0) return;
  throw new SpatialError({
    code: 'DATA_INVALID',
    message: `${counted(errors, 'error')} and ${counted(findings.length - errors, 'warning')} found`,
    hint: 'Each is listed with what to do about it.',
  });
}
