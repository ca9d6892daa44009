import {
  type BackboneV1,
  readSampleImages,
  type SampleV1,
  type SpatialError,
} from '@spatialsv/core';
import {
  collectFinding,
  type DatasetRequest,
  type Finding,
  findDatasetFormat,
  findingOf,
  readDataset,
} from '@spatialsv/core/host';
import { imageFindings } from './image-findings.js';
import { countBy, imageStatistics, rangeOf } from './image-statistics.js';
import { modelOf } from './model-of.js';
import type { Check, CheckContext, CheckReport } from './report.js';

/** Data files: anything that is no other kind. */
export const dataCheck: Check = {
  kind: 'data',
  matches: async () => true,
  run: async (path, context) => {
    const { format, imageRoot } = context;
    const findings: Finding[] = [];
    const { backbone } = await modelOf(context, findings);
    const report = await checkDataset({ path, format, imageRoot }, context, backbone);
    return { ...report, findings: [...findings, ...report.findings] };
  },
};

/** @param backbone that will be trained or asked, where one is known. */
export async function checkDataset(
  request: DatasetRequest,
  context: CheckContext,
  backbone?: BackboneV1,
): Promise<CheckReport> {
  const { path } = request;
  const { plugins, signal } = context;
  const findings: Finding[] = [];
  const onProblem = (problem: SpatialError) => findings.push(findingOf(problem));
  const format = await collectFinding(findings, () => findDatasetFormat(request, plugins));
  const read = () => readDataset({ ...request, onProblem }, plugins);
  const samples = (format === undefined ? undefined : await collectFinding(findings, read)) ?? [];
  const nameOf = (index: number) => `${path}: sample '${samples[index]!.id}'`;
  const images = await readSampleImages({ samples, nameOf, backbone, onProblem, signal });
  const headers = [...images.values()];
  // Shapes were checked with the samples, where a model is known.
  findings.push(...(await imageFindings(headers, context, backbone !== undefined)));
  findings.push(...repeatedIds(path, samples));
  if (samples.length === 0 && findings.length === 0) findings.push(noSamples(path));
  const summary = `data set${format === undefined ? '' : ` of format ${format}`}`;
  const facts = { ...sampleStatistics(samples), ...imageStatistics(headers) };
  return { kind: 'data', path, summary, facts, passedOver: [], findings };
}

function sampleStatistics(samples: readonly SampleV1[]): Readonly<Record<string, unknown>> {
  const count = (is: (sample: SampleV1) => boolean) => samples.filter(is).length;
  const categories = countBy(
    samples.filter(({ category }) => category !== undefined),
    ({ category }) => category!,
  );
  return {
    samples: samples.length,
    'with a question': count(({ question }) => question !== undefined),
    'with an answer': count(({ answer }) => answer !== undefined),
    'multiple choice': count(({ options }) => options !== undefined),
    ...(samples.length > 0 && {
      'images a sample': rangeOf(samples.map((each) => each.images.length)),
    }),
    ...(Object.keys(categories).length > 0 && { categories }),
  };
}

const SHOWN = 5;

/** They are read, each sample for itself; messages and reports that name an id mean several samples. */
function repeatedIds(path: string, samples: readonly SampleV1[]): readonly Finding[] {
  const repeated = Object.entries(countBy(samples, ({ id }) => id)).filter(
    ([, count]) => count > 1,
  );
  if (repeated.length === 0) return [];
  const shown = repeated.slice(0, SHOWN).map(([id, count]) => `'${id}' ${count} times`);
  const more = repeated.length > SHOWN ? `, … (${repeated.length} in all)` : '';
  return [
    {
      severity: 'warning',
      code: 'DATA_INVALID',
      where: path,
      what: 'repeated ids',
      expected: 'an id for each sample',
      found: `${shown.join(', ')}${more}`,
      hint: 'Nothing is mixed up, but messages and reports name samples by their ids: make them different.',
    },
  ];
}

const noSamples = (path: string): Finding => ({
  severity: 'error',
  code: 'DATA_INVALID',
  where: path,
  what: 'no samples',
  hint: 'Write one JSON object a line; docs/datasets.md lists the fields of each format.',
});
