import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type BackboneV1, hashPromptFiles, hashWeights } from '@spatialsv/core';
import { collectFinding, type Finding, listFolder } from '@spatialsv/core/host';
import {
  answersOf,
  EVALUATION_FILE,
  type EvaluationRecord,
  PREDICTIONS_FILE,
  recordOf,
  verifyEvaluation,
} from '@spatialsv/eval';
import { protocolOf } from '../benchmark.js';
import { modelOf } from './model-of.js';
import type { Check, CheckContext } from './report.js';

/** Run folders of evaluations: do their numbers follow from their outputs, and are those the outputs of the model? */
export const evaluationCheck: Check = {
  kind: 'evaluation',
  matches: async (path) => {
    if ((await stat(path).catch(() => undefined))?.isDirectory() !== true) return false;
    const names = await listFolder(path);
    return names.includes(EVALUATION_FILE) || names.includes(PREDICTIONS_FILE);
  },
  run: async (path, context) => {
    const findings: Finding[] = [];
    const record = await collectFinding(findings, () => recordOf(path));
    const answers = (await collectFinding(findings, () => answersOf(path)))?.length ?? 0;
    if (record !== undefined) findings.push(...(await checkRun(path, record, answers, context)));
    const { benchmark, variant, data } = record ?? {};
    return {
      kind: 'evaluation',
      path,
      summary: `evaluation${benchmark === undefined ? '' : ` of ${benchmark}`}`,
      facts: { ...(variant && { variant }), questions: data?.questions, answers },
      passedOver: [],
      findings,
    };
  },
};

async function checkRun(
  path: string,
  record: EvaluationRecord,
  answers: number,
  context: CheckContext,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const asked = record.shard ? undefined : record.data.questions;
  if (asked !== undefined && answers < asked) findings.push(unfinished(path, answers, asked));
  else if (answers > 0)
    await collectFinding(findings, async () => {
      const protocol = protocolOf(context.plugins, record.benchmark, record.variant);
      for (const { where, stored, found } of await verifyEvaluation(path, protocol))
        findings.push(doesNotFollow(`${path}: ${where}`, stored, found));
    });
  const { backbone } = await modelOf(context, findings);
  if (backbone !== undefined) findings.push(...(await otherModel(path, record, backbone)));
  return findings;
}

const unfinished = (path: string, answers: number, asked: number): Finding => ({
  severity: 'warning',
  code: 'FILE_INVALID',
  where: join(path, PREDICTIONS_FILE),
  what: 'not finished',
  expected: `answers to ${asked} questions`,
  found: `${answers}`,
  hint: 'Give the command of the evaluation again: it goes on from there.',
});

const doesNotFollow = (where: string, stored: unknown, found: unknown): Finding => ({
  severity: 'error',
  code: 'FILE_INVALID',
  where,
  what: 'does not follow from the outputs',
  expected: JSON.stringify(found),
  found: JSON.stringify(stored),
  hint: 'Files were changed after the run, or it is of another version: evaluate again into a new folder.',
});

/** Answers that another model, or another tokenizer or chat template, has given. */
async function otherModel(
  path: string,
  record: EvaluationRecord,
  { folder, weights }: BackboneV1,
): Promise<readonly Finding[]> {
  const is = { weights: await hashWeights(weights), prompt: await hashPromptFiles(folder) };
  const parts = (['weights', 'prompt'] as const).filter((part) => record[part] !== is[part]);
  return parts.map((part) => ({
    severity: 'error',
    code: 'USAGE',
    where: join(path, EVALUATION_FILE),
    what: `answers of other ${part === 'weights' ? 'weights' : 'prompt files'} than those of ${folder}`,
    expected: is[part],
    found: record[part],
    hint: 'Evaluate that model into a folder of its own.',
  }));
}
