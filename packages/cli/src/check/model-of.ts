import type { BackboneV1 } from '@spatialsv/core';
import { collectFinding, type Finding } from '@spatialsv/core/host';
import { openModel } from '../model.js';
import type { CheckContext } from './report.js';

/** The model that a check was told of, with --model; what is wrong with it is a finding. */
export async function modelOf(
  { model, plugins }: CheckContext,
  findings: Finding[],
): Promise<{ readonly backbone?: BackboneV1 }> {
  if (model === undefined) return {};
  const backbone = await collectFinding(findings, () => openModel(model, plugins));
  return backbone === undefined ? {} : { backbone };
}
