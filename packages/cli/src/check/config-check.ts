import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { type BackboneV1, SpatialError } from '@spatialsv/core';
import { collectFinding, type Finding, findingOf, type PluginRegistry } from '@spatialsv/core/host';
import { loadTrainConfig, type TrainConfig } from '@spatialsv/train';
import { planOf } from '../commands/train-plan.js';
import { composePlugins } from '../composition.js';
import { formatBytes } from '../format-bytes.js';
import { openModel } from '../model.js';
import { backboneOptions, openSource } from '../train-parts.js';
import { checkDataset } from './data-check.js';
import { modelCheck } from './model-check.js';
import { pluginFindings } from './plugins-check.js';
import { allFindings, type Check, type CheckContext, type CheckReport } from './report.js';

/** Configurations of training, with the model, the data sets and the label source that they name. */
export const configCheck: Check = {
  kind: 'configuration',
  matches: async (path) => /\.ya?ml$/i.test(path),
  run: async (path, context) => {
    const findings: Finding[] = [];
    const config = await readConfig(path, findings);
    const report = { kind: 'configuration', path, summary: 'training configuration' } as const;
    if (config === undefined) return { ...report, facts: {}, passedOver: [], findings };
    const { out, device, source, batchSize, schedule } = config;
    const { backbone, parts } = await checkParts(path, config, context, findings);
    const isWhole = [...findings, ...parts.flatMap(allFindings)].every(isWarning);
    const plan = isWhole && context.plan !== false && backbone !== undefined;
    const facts = {
      ...{ out, device, source: source.name, batchSize, ...schedule },
      ...(plan && (await planFacts(path, config, backbone, findings))),
    };
    return { ...report, facts, passedOver: [], findings, parts };
  },
};

/** Every line of the error of a configuration is a finding of its own. */
async function readConfig(path: string, findings: Finding[]): Promise<TrainConfig | undefined> {
  try {
    return await loadTrainConfig(path);
  } catch (error) {
    if (!SpatialError.isInstance(error)) throw error;
    const { code, hint } = error;
    for (const message of error.message.split('\n'))
      findings.push(findingOf(new SpatialError({ code, message, hint })));
    return undefined;
  }
}

async function checkParts(
  path: string,
  config: TrainConfig,
  context: CheckContext,
  findings: Finding[],
): Promise<{ readonly backbone: BackboneV1 | undefined; readonly parts: readonly CheckReport[] }> {
  const plugins = await composePlugins(dirname(path), config.plugins);
  findings.push(...pluginFindings(plugins.plugins));
  const inner = { ...context, plugins };
  const model = await modelCheck.run(config.model, inner);
  // What is wrong with the folder is in its own report.
  const backbone = await collectFinding([], () =>
    openModel(config.model, plugins, backboneOptions(config)),
  );
  await collectFinding(findings, async () => {
    plugins.resolveGeometryHead(config.heads.type);
  });
  for (const key of ['source', 'secondTeacher'] as const)
    await collectFinding(findings, () => checkSource(config, key, plugins));
  return { backbone, parts: [model, ...(await checkData(config, inner, backbone))] };
}

const isWarning = ({ severity }: Finding): boolean => severity === 'warning';

/** What a run would take; more memory than is free is a finding. */
async function planFacts(
  path: string,
  config: TrainConfig,
  backbone: BackboneV1,
  findings: Finding[],
): Promise<Readonly<Record<string, unknown>>> {
  const plan = await collectFinding(findings, () => planOf(path, config, backbone));
  if (plan === undefined) return {};
  const { peakMemoryMb, freeMemoryMb, secondsPerStep, steps } = plan;
  if (peakMemoryMb > freeMemoryMb) findings.push(tooLarge(path, peakMemoryMb, freeMemoryMb));
  return {
    'peak memory': formatBytes(peakMemoryMb * 2 ** 20),
    'seconds per step': Number(secondsPerStep.toPrecision(3)),
    'hours of the run': Number(((steps * secondsPerStep) / 3600).toPrecision(3)),
  };
}

const tooLarge = (where: string, peakMb: number, freeMb: number): Finding => ({
  severity: 'warning',
  code: 'OUT_OF_MEMORY',
  where,
  what: 'memory of the run',
  expected: `at most the ${formatBytes(freeMb * 2 ** 20)} that are free`,
  found: `about ${formatBytes(peakMb * 2 ** 20)}`,
  hint: 'Set recompute: layer, train: { llm: lora }, fewer or smaller views; train --plan tells what a change gives.',
});

/** Weights are not opened: reading gigabytes is a part of the run. */
async function checkSource(
  config: TrainConfig,
  key: 'source' | 'secondTeacher',
  plugins: PluginRegistry,
): Promise<void> {
  const source = config[key];
  if (source === undefined) return;
  const { name, store, weights } = source;
  if (store !== undefined) await (await openSource(source, config, plugins))?.dispose();
  else if (name !== 'none') plugins.resolveLabelSource(name);
  if (weights === undefined || existsSync(weights)) return;
  throw new SpatialError({
    code: 'FILE_MISSING',
    message: `${weights}: expected weights of the label source ${name}, found nothing`,
    hint: `Check ${key}.weights; relative paths start at the configuration.`,
  });
}

async function checkData(
  config: TrainConfig,
  context: CheckContext,
  backbone: BackboneV1 | undefined,
): Promise<readonly CheckReport[]> {
  const reports: CheckReport[] = [];
  for (const dataset of config.data) reports.push(await checkDataset(dataset, context, backbone));
  return reports;
}
