import type { CudaReport } from '@spatialsv/engine';
import { formatTable } from '../context.js';

/** What is there for the device `cuda`, and what it lacks; nothing on machines where nothing of it was found. */
export function formatCuda(report: CudaReport | undefined): string {
  if (report === undefined) return '';
  const { provider, version, refused, libraries, missing, runtime } = report;
  if (provider === null && refused.length === 0) return '';
  const rows = [
    ['provider', provider ?? `none of ONNX Runtime ${version}`],
    ...refused.map((each) => ['', `not used: ${each.version} in ${each.folder}`]),
    ...libraries.map(({ name, file, others }) => [name, file ?? notFound(others)]),
    ...(missing === undefined ? [] : [['missing', missing]]),
    ...(runtime === undefined ? [] : runtimeRows(runtime)),
  ];
  return `\nCUDA\n${formatTable(rows).replace(/^(?=.)/gm, '  ')}`;
}

const notFound = (others: readonly string[] = []): string =>
  `in none of the folders${others.length === 0 ? '' : `; not used: ${others.join(', ')}`}`;

function runtimeRows(runtime: NonNullable<CudaReport['runtime']>): string[][] {
  const { driverVersion, runtimeVersion, gpus, problem } = runtime;
  const driver = driverVersion === '0.0' ? 'none' : `for CUDA ${driverVersion}`;
  const found = gpus.map(({ index, name, memoryGib, capability, supported }) => [
    `cuda:${index}`,
    `${name}, ${memoryGib} GiB, compute capability ${capability}${supported ? '' : ': not supported'}`,
  ]);
  return [
    ['driver', `${driver}; runtime ${runtimeVersion}`],
    ...found,
    ...(problem === undefined ? [] : [['GPUs', problem]]),
  ];
}
