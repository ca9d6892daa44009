import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type BackboneV1,
  type ChatMessage,
  describeNonFinite,
  nonFiniteWeights,
  openTextProcessor,
  openWeights,
  type RgbImage,
  readCheckpointConfig,
  readSpatialCheckpoint,
} from '@spatialsv/core';
import {
  collectFinding,
  type Finding,
  findingMessage,
  listFolder,
  readOptionalJson,
  recogniseFolder,
} from '@spatialsv/core/host';
import { openModel } from '../model.js';
import { modelFacts, notRead } from './model-facts.js';
import type { Check, CheckContext, CheckReport } from './report.js';

/** Model folders, also those that hold a model of another kind, which are named. */
export const modelCheck: Check = {
  kind: 'model',
  matches: async (path) => {
    const found = await stat(path).catch(() => undefined);
    if (found?.isDirectory() !== true) return found !== undefined && WEIGHTS_NAME.test(path);
    const names = await listFolder(path);
    return names.some(isCheckpointName) || (await recogniseFolder(path)) !== undefined;
  },
  run: checkModel,
};

const WEIGHTS_NAME = /\.(safetensors|gguf|bin|pth?|h5|msgpack|zip|tar|tgz|gz|zst|7z|rar)$/i;

const isCheckpointName = (name: string): boolean =>
  /^(config|tokenizer|tokenizer_config)\.json$|\.safetensors(\.index\.json)?$/.test(name);

/** Whether a folder holds no checkpoint, or one of another kind. */
async function isForeign(path: string): Promise<boolean> {
  const names = await listFolder(path);
  if (names.includes('config.json')) return false;
  return !names.some(isCheckpointName) || (await recogniseFolder(path)) !== undefined;
}

/** A check ends here where the folder is no checkpoint at all: everything else would say so again. */
async function checkModel(path: string, context: CheckContext): Promise<CheckReport> {
  const findings: Finding[] = [];
  const report = { kind: 'model', path } as const;
  const config = await collectFinding(findings, () => readCheckpointConfig(path));
  if (config === undefined && (await isForeign(path)))
    return { ...report, summary: 'no model that can be read', facts: {}, passedOver: [], findings };
  const backbone =
    config && (await collectFinding(findings, () => openModel(path, context.plugins)));
  findings.push(...(backbone?.findings ?? []));
  await checkParts(path, backbone, context, findings);
  if (backbone !== undefined && context.weights === true)
    findings.push(...(await weightFindings(backbone, context.signal)));
  const kind = config?.['model_type'];
  const summary = backbone
    ? `model folder of ${backbone.adapterId}`
    : `model folder${typeof kind === 'string' ? ` with model_type ${JSON.stringify(kind.slice(0, 60))}` : ''}`;
  return {
    ...report,
    summary,
    facts: await modelFacts(path, backbone, context.weights === true),
    passedOver: await notRead(path),
    findings: distinct(findings),
  };
}

const JSON_FILES = [
  'config.json',
  'generation_config.json',
  'preprocessor_config.json',
  'processor_config.json',
  'tokenizer_config.json',
];

const GREY: RgbImage = { data: new Uint8Array(3 * 64 * 64).fill(128), height: 64, width: 64 };

const CHAT: readonly ChatMessage[] = [
  { role: 'user', content: [{ type: 'image' }, { type: 'text', text: 'Where?' }] },
];

/** Every part by itself: what an adapter stops at hides none of the others. */
async function checkParts(
  path: string,
  backbone: BackboneV1 | undefined,
  { plugins }: CheckContext,
  findings: Finding[],
): Promise<void> {
  for (const name of JSON_FILES) await collectFinding(findings, () => readOptionalJson(path, name));
  await collectFinding(findings, () => readSpatialCheckpoint(path, plugins.resolveGeometryHead));
  if (backbone !== undefined) {
    const conversation = { images: [GREY, GREY], question: 'Where?', answer: 'Here.' };
    await collectFinding(findings, () => backbone.prepare(conversation));
    return;
  }
  await collectFinding(findings, () => openWeights(path));
  await collectFinding(findings, async () => (await openTextProcessor(path, {})).render(CHAT));
}

/** Reads every weight. */
async function weightFindings(
  { folder, weights }: BackboneV1,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for await (const { name, size, ...found } of nonFiniteWeights(weights, signal))
    findings.push({
      severity: 'error',
      code: 'NON_FINITE',
      where: join(folder, 'weights'),
      what: name,
      expected: 'finite values',
      found: describeNonFinite(found, size),
      hint: 'The checkpoint is damaged or was saved by a run that diverged: take an earlier one.',
    });
  return findings;
}

const distinct = (findings: readonly Finding[]): readonly Finding[] => [
  ...new Map(findings.map((finding) => [findingMessage(finding), finding])).values(),
];
