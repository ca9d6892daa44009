import {
  type BackboneAdapterV1,
  type BackboneV1,
  type LabelSourceV1,
  type PluginRegistry,
  type RgbImage,
  readCheckpointConfig,
  readImage,
  readImageHeader,
  SpatialError,
} from '@spatialsv/core';
import { findingMessage } from '@spatialsv/core/host';
import type { WeightReport } from '@spatialsv/engine';
import { parseSettings, type Settings } from './settings.js';

/** How a checkpoint is opened, as options of commands and keys of configurations say it. */
export interface BackboneOptions {
  readonly minPixels?: number;
  readonly maxPixels?: number;
  /** Settings of the family, of a configuration. */
  readonly settings?: Settings;
  /** The same, of the command line: YAML texts by key. */
  readonly set?: Readonly<Record<string, string>>;
}

/**
 * Opens a checkpoint folder with the adapter that accepts its config.json.
 * @param tell what is said of things that are doubtful about the folder.
 * @throws SpatialError FILE_MISSING | FILE_INVALID for a wrong path, PLUGIN_UNKNOWN when no adapter accepts it,
 *   CONFIG_INVALID for a smallest view above the largest, and what the adapter finds.
 */
export async function openModel(
  folder: string,
  plugins: PluginRegistry,
  options: BackboneOptions = {},
  tell: (text: string) => void = () => {},
): Promise<BackboneV1> {
  const config = await readCheckpointConfig(folder);
  const adapter = located(`${folder}/config.json`, () => plugins.resolveBackboneAdapter(config));
  const { minPixels, maxPixels, set, settings = parseSettings('--set', set) } = options;
  requireBudget(minPixels, maxPixels);
  const backbone = await adapter.open(folder, {
    ...(minPixels !== undefined && { minPixels }),
    ...(maxPixels !== undefined && { maxPixels }),
    ...(Object.keys(settings).length > 0 && { settings }),
  });
  for (const finding of backbone.findings ?? []) tell(`warning: ${findingMessage(finding)}\n`);
  return backbone;
}

function requireBudget(minPixels = 0, maxPixels = Number.POSITIVE_INFINITY): void {
  if (minPixels <= maxPixels) return;
  throw new SpatialError({
    code: 'CONFIG_INVALID',
    message: `smallest size of a view: expected at most the largest of ${maxPixels} pixels, found ${minPixels}`,
    hint: 'Swap --min-pixels and --max-pixels (in a file: minPixels and maxPixels), or leave one out.',
  });
}

/** @throws SpatialError USAGE with the known families and the nearest of them. */
export function findAdapter(family: string, plugins: PluginRegistry): BackboneAdapterV1 {
  return located('--family', () => plugins.resolveBackboneAdapter(family), 'USAGE');
}

/** @throws SpatialError USAGE with the known sources and the nearest of them. */
export function findSource(id: string, plugins: PluginRegistry): LabelSourceV1 {
  return located('--source', () => plugins.resolveLabelSource(id), 'USAGE');
}

/** Says where the error of `find` belongs. */
function located<Result>(where: string, find: () => Result, code?: 'USAGE'): Result {
  try {
    return find();
  } catch (cause) {
    if (!SpatialError.isInstance(cause)) throw cause;
    throw new SpatialError({
      code: code ?? cause.code,
      message: `${where}: ${cause.message}`,
      hint: cause.hint,
      cause,
    });
  }
}

/**
 * @param backbone that will see them; it may refuse a size.
 * @throws SpatialError FILE_MISSING | IMAGE_INVALID naming the file.
 */
export async function readImages(
  paths: readonly string[],
  backbone?: Pick<BackboneV1, 'requireImageSize'>,
): Promise<RgbImage[]> {
  for (const path of paths) backbone?.requireImageSize?.(await readImageHeader(path));
  const images: RgbImage[] = [];
  for (const path of paths) images.push(await readImage(path));
  return images;
}

/** A line on how weights are read. */
export function describeWeights({ policy, reason, copiedBytes }: WeightReport): string {
  const copy = copiedBytes === 0 ? '' : ` (${(copiedBytes / 1e9).toFixed(1)} GB)`;
  return `weights: ${policy}${copy}, ${reason}`;
}
