import { collectFinding, type Finding, readDataset } from '@spatialsv/core/host';
import type { Check } from './report.js';

/** Data files: anything that is no other kind. */
export const dataCheck: Check = {
  kind: 'data',
  matches: async () => true,
  run: async (path, { plugins, format, imageRoot }) => {
    const findings: Finding[] = [];
    const read = () => readDataset({ path, format, imageRoot }, plugins);
    const samples = (await collectFinding(findings, read)) ?? [];
    const facts = { samples: samples.length };
    return { kind: 'data', path, summary: 'data set', facts, passedOver: [], findings };
  },
};
