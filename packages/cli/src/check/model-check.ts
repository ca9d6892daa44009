import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { collectFinding, type Finding } from '@spatialsv/core/host';
import type { Check } from './report.js';

const isFile = async (path: string): Promise<boolean> =>
  (await stat(path).catch(() => undefined))?.isFile() ?? false;

/** Model folders: opened by the adapter that accepts their config.json. */
export const modelCheck: Check = {
  kind: 'model',
  matches: (path) => isFile(join(path, 'config.json')),
  run: async (path, { plugins }) => {
    const { openModel } = await import('../model.js');
    const findings: Finding[] = [];
    const backbone = await collectFinding(findings, () => openModel(path, plugins));
    const summary =
      backbone === undefined ? 'model folder' : `model folder of ${backbone.adapterId}`;
    const facts =
      backbone === undefined
        ? {}
        : { layers: backbone.config.layers, tensors: Object.keys(backbone.weights).length };
    return { kind: 'model', path, summary, facts, passedOver: [], findings };
  },
};
