/** Files that name many runs: suites of evaluations, and sweeps of training. */
import { readText, readYaml } from '@spatialsv/core';
import { collectFinding, type Finding } from '@spatialsv/core/host';
import { loadSuite } from '@spatialsv/eval';
import { loadSweep } from '@spatialsv/train';
import { protocolOf } from '../benchmark.js';
import type { Check, CheckContext } from './report.js';

const MAX_BYTES = 1 << 22;

/** Suites are told by their benchmarks. */
export const suiteCheck: Check = {
  kind: 'configuration',
  matches: (path) => hasKey(path, 'benchmarks'),
  run: async (path, context) => {
    const findings: Finding[] = [];
    const suite = await collectFinding(findings, () => loadSuite(path));
    const runs = suite?.runs ?? [];
    const asked = new Map(runs.map(({ benchmark, options }) => [benchmark, options]));
    for (const options of asked.values())
      await collectFinding(findings, async () => resolveProtocol(options, context));
    const facts = { models: suite?.models.length, evaluations: runs.length, out: suite?.out };
    const report = { kind: 'configuration', path, summary: 'suite of evaluations' } as const;
    return { ...report, facts, passedOver: [], findings };
  },
};

const resolveProtocol = (
  { benchmark, variant }: { readonly benchmark: string; readonly variant?: string },
  { plugins }: CheckContext,
): void => {
  protocolOf(plugins, benchmark, variant);
};

/** Sweeps are told by their arms. */
export const sweepCheck: Check = {
  kind: 'configuration',
  matches: (path) => hasKey(path, 'arms'),
  run: async (path) => {
    const findings: Finding[] = [];
    const sweep = await collectFinding(findings, () => loadSweep(path));
    const arms = new Set(sweep?.runs.map(({ arm }) => arm));
    const facts = { arms: arms.size, runs: sweep?.runs.length ?? 0, out: sweep?.out };
    const report = { kind: 'configuration', path, summary: 'sweep of training' } as const;
    return { ...report, facts, passedOver: [], findings };
  },
};

/** Whether a YAML file has a key at its top that files of one kind have. One that cannot be read is of no kind. */
async function hasKey(path: string, key: string): Promise<boolean> {
  if (!/\.ya?ml$/i.test(path)) return false;
  const read = async () => readYaml(await readText(path, MAX_BYTES), path).value;
  const value = await read().catch(() => undefined);
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key);
}
