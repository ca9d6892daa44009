import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { SpatialError } from '../errors.js';
import { readText, resolveFile } from '../files.js';
import { describeProblem } from '../issues.js';
import { isJsonObject, type JsonObject, parseJsonText } from '../json.js';
import type { ContributionV1 } from '../spec.js';

/** The `apiVersion` of manifests that this core understands. */
export const PLUGIN_API_VERSION = 1;

/** Field of a plugin's package.json. */
export const MANIFEST_FIELD = 'spatialsv';

export const CONTRIBUTION_KINDS = [
  'backbone-adapter',
  'geometry-head',
  'label-source',
  'dataset-format',
  'benchmark',
] as const;

export type ContributionKind = ContributionV1['kind'];

/** What a package says about itself before any of its code runs. */
export interface PluginManifest {
  readonly name: string;
  readonly version: string;
  /** Real path of the package. */
  readonly folder: string;
  readonly apiVersion: number;
  readonly kinds: readonly ContributionKind[];
  /** Absolute path of the module whose default export is the plugin. */
  readonly entry: string;
}

const manifestSchema = z.object({
  apiVersion: z.int(),
  kinds: z.array(z.enum(CONTRIBUTION_KINDS)).min(1),
  entry: z.string().startsWith('./'),
});

/** Error about one plugin. */
export const invalidPlugin = (name: string, problem: string, cause?: unknown): SpatialError =>
  new SpatialError({
    code: 'PLUGIN_INVALID',
    message: `plugin ${name}: ${problem}`,
    hint: 'Tell the author of the plugin, or remove it.',
    cause,
  });

const MAX_PACKAGE_BYTES = 1 << 23;

/** package.json of a folder. @throws SpatialError FILE_MISSING | FILE_INVALID. */
export const readPackageJson = async (folder: string): Promise<JsonObject> => {
  const file = path.join(folder, 'package.json');
  const real = await resolveFile(file, 'Name a folder that holds an npm package.');
  try {
    const value: unknown = parseJsonText(await readText(real, MAX_PACKAGE_BYTES));
    if (isJsonObject(value)) return value;
    throw new TypeError('not an object');
  } catch (error) {
    throw new SpatialError({
      code: 'FILE_INVALID',
      message: `${file}: expected a JSON object (${(error as Error).message})`,
      hint: 'Repair package.json.',
      cause: error,
    });
  }
};

const apiMismatch = (name: string, version: string, apiVersion: number): SpatialError => {
  const isNewer = apiVersion > PLUGIN_API_VERSION;
  const outdated = isNewer ? '@spatialsv/core' : name;
  return new SpatialError({
    code: 'PLUGIN_API_MISMATCH',
    message: `plugin ${name}@${version}: expected plugin API ${PLUGIN_API_VERSION}, found ${apiVersion}`,
    hint: `Update the older side: npm install ${outdated}@latest`,
  });
};

/** The version is compared before the rest is checked: another version may have other fields. */
const checkVersion = (manifest: unknown, name: string, version: string): void => {
  const apiVersion = isJsonObject(manifest) ? manifest['apiVersion'] : undefined;
  if (Number.isInteger(apiVersion) && apiVersion !== PLUGIN_API_VERSION)
    throw apiMismatch(name, version, apiVersion as number);
};

/**
 * Reads the manifest of a package without importing any of its code.
 * @returns undefined when the package is no plugin.
 * @throws SpatialError PLUGIN_API_MISMATCH | PLUGIN_INVALID | FILE_MISSING | FILE_INVALID.
 */
export const readManifest = async (folder: string): Promise<PluginManifest | undefined> => {
  const packageJson = await readPackageJson(folder);
  const manifest = packageJson[MANIFEST_FIELD];
  if (manifest === undefined) return undefined;
  const name = String(packageJson['name'] ?? folder);
  const version = String(packageJson['version'] ?? 'unknown');
  checkVersion(manifest, name, version);
  const parsed = manifestSchema.safeParse(manifest);
  if (!parsed.success)
    throw invalidPlugin(name, `manifest "${MANIFEST_FIELD}": ${describeProblem(parsed.error)}`);
  const home = await realpath(folder);
  const entry = path.resolve(home, parsed.data.entry);
  if (!entry.startsWith(home + path.sep))
    throw invalidPlugin(name, `entry "${parsed.data.entry}" leads out of the package`);
  return { ...parsed.data, name, version, folder: home, entry };
};
