import { type LabellerV1, openStoredLabels, type PluginRegistry } from '@spatialsv/core';
import type { TrainConfig } from '@spatialsv/train';
import type { BackboneOptions } from './model.js';

/** How a configuration opens its model. */
export function backboneOptions({ imageBudget, backbone }: TrainConfig): BackboneOptions {
  const { minPixels, maxPixels } = imageBudget;
  return {
    ...(minPixels !== undefined && { minPixels }),
    ...(maxPixels !== undefined && { maxPixels }),
    ...(backbone.settings !== undefined && { settings: backbone.settings }),
  };
}

/** The labels of a configuration: of a store, or of a source that makes them during the run. */
export async function openSource(
  { source: { name, store, weights, settings }, device }: TrainConfig,
  plugins: PluginRegistry,
): Promise<LabellerV1 | undefined> {
  if (store !== undefined) return openStoredLabels(store, name === 'none' ? undefined : name);
  if (name === 'none') return undefined;
  return plugins.resolveSupervisionSource(name).open({
    device,
    ...(weights !== undefined && { weights }),
    ...(settings !== undefined && { settings }),
  });
}
