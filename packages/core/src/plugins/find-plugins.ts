import { stat } from 'node:fs/promises';
import path from 'node:path';
import { SpatialError } from '../errors.js';
import { isJsonObject } from '../json.js';
import { MANIFEST_FIELD, readPackageJson } from './manifest.js';

/** A package that may be a plugin. */
export interface PluginCandidate {
  /** Package name, or the path that was given. */
  readonly name: string;
  readonly folder: string;
}

const DEPENDENCY_FIELDS = ['dependencies', 'devDependencies', 'optionalDependencies'] as const;

const isFolder = async (folder: string): Promise<boolean> =>
  (await stat(folder).catch(() => undefined))?.isDirectory() ?? false;

/** Folder of an installed package as Node finds it from `from`: the nearest node_modules upwards. */
const findPackage = async (name: string, from: string): Promise<string | undefined> => {
  let current = path.resolve(from);
  for (;;) {
    const folder = path.join(current, 'node_modules', name);
    if (await isFolder(folder)) return folder;
    const parent = path.dirname(current);
    if (parent === current) return undefined;
    current = parent;
  }
};

/** npm's rule for package names; anything else could lead out of node_modules. */
const isPackageName = (name: string): boolean =>
  /^(@[a-z0-9-~][a-z0-9-._~]*\/)?[a-z0-9-~][a-z0-9-._~]*$/.test(name);

const directDependencies = async (project: string): Promise<readonly string[]> => {
  const packageJson = await readPackageJson(project);
  const names = DEPENDENCY_FIELDS.flatMap((field) => {
    const dependencies = packageJson[field];
    return isJsonObject(dependencies) ? Object.keys(dependencies) : [];
  });
  return [...new Set(names)].filter(isPackageName);
};

const hasManifest = async (folder: string): Promise<boolean> =>
  readPackageJson(folder).then(
    (packageJson) => packageJson[MANIFEST_FIELD] !== undefined,
    () => false,
  );

/**
 * Direct dependencies of a project that carry a plugin manifest. Nothing is imported, and the rest of node_modules is
 * not searched. A dependency that is not installed is npm's business and left out.
 * @param project folder with a package.json.
 * @throws SpatialError FILE_MISSING | FILE_INVALID for the project's own package.json.
 */
export const findPlugins = async (project: string): Promise<readonly PluginCandidate[]> => {
  const candidates: PluginCandidate[] = [];
  for (const name of await directDependencies(project)) {
    const folder = await findPackage(name, project);
    if (folder && (await hasManifest(folder))) candidates.push({ name, folder });
  }
  return candidates;
};

/**
 * A plugin that was asked for by package name, or by a path that is absolute or begins with a dot.
 * @param from folder from which names and paths are resolved.
 * @throws SpatialError PLUGIN_INVALID when it is not there.
 */
export const locatePlugin = async (plugin: string, from: string): Promise<PluginCandidate> => {
  const isPath = plugin.startsWith('.') || path.isAbsolute(plugin);
  const folder = isPath
    ? path.resolve(from, plugin)
    : isPackageName(plugin)
      ? await findPackage(plugin, from)
      : undefined;
  if (folder && (await isFolder(folder))) return { name: plugin, folder };
  throw new SpatialError({
    code: 'PLUGIN_INVALID',
    message: `plugin ${plugin}: ${isPath ? `no folder at ${folder}` : `not installed in ${from} or above`}`,
    hint: isPath ? 'Name the folder that holds its package.json.' : `npm install ${plugin}`,
  });
};
