import {
  type LabellerV1,
  openStoredLabels,
  type PluginRegistry,
  withCleanup,
} from '@spatialsv/core';
import type { ProgramTarget } from '@spatialsv/engine';
import type { TrainConfig } from '@spatialsv/train';
import { openSourceWith } from './labels/open-source.js';
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

/** The label sources of a configuration, open. */
export interface Teachers {
  readonly source: LabellerV1 | undefined;
  readonly secondTeacher: LabellerV1 | undefined;
  readonly dispose: () => Promise<void>;
}

/** Opens the labels of a configuration: each of a store, or of a source that makes them during the run. */
export async function openTeachers(
  { source: written, secondTeacher: second, device, precision }: TrainConfig,
  plugins: PluginRegistry,
): Promise<Teachers> {
  const target = { device, precision };
  const source = await openSource(written, target, plugins);
  try {
    const secondTeacher = second && (await openSource(second, target, plugins));
    const close = async () => {
      await withCleanup(
        async () => source?.dispose(),
        () => secondTeacher?.dispose(),
      );
    };
    return { source, secondTeacher, dispose: close };
  } catch (error) {
    await source?.dispose();
    throw error;
  }
}

type SourceConfig = Pick<TrainConfig['source'], 'name' | 'store' | 'weights' | 'settings'>;

/** One label source of a configuration; undefined for `none`. */
export async function openSource(
  { name, store, weights, settings }: SourceConfig,
  target: ProgramTarget,
  plugins: PluginRegistry,
): Promise<LabellerV1 | undefined> {
  if (store !== undefined) return openStoredLabels(store, name === 'none' ? undefined : name);
  if (name === 'none') return undefined;
  return openSourceWith(plugins.resolveLabelSource(name), {
    ...target,
    ...(weights !== undefined && { weights }),
    ...(settings !== undefined && { settings }),
  });
}
