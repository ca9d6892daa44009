import { realpath } from 'node:fs/promises';
import { SpatialError } from '../errors.js';
import { isJsonObject } from '../json.js';
import { type ContributionV1, type PluginV1, SPECIFICATION_VERSION } from '../spec.js';
import { findPlugins, locatePlugin, type PluginCandidate } from './find-plugins.js';
import { importModule } from './import-module.js';
import {
  CONTRIBUTION_KINDS,
  type ContributionKind,
  invalidPlugin,
  readManifest,
} from './manifest.js';
import { tryPlugin } from './try-plugin.js';

export interface LoadedPlugin {
  readonly name: string;
  /** Absent for a plugin that was handed over as a value. */
  readonly version?: string;
  readonly folder?: string;
  readonly contributions: readonly ContributionV1[];
}

export interface RejectedPlugin {
  readonly name: string;
  readonly error: SpatialError;
}

export interface PluginSet {
  readonly loaded: readonly LoadedPlugin[];
  readonly rejected: readonly RejectedPlugin[];
}

/** A plugin that its host imports itself. */
export interface BuiltInPlugin {
  readonly name: string;
  /** Or what imports it; a plugin that cannot be imported is rejected like any other. */
  readonly plugin: PluginV1 | (() => Promise<PluginV1>);
  /** Real path of its package. Found there by a search it is not tried in a process of its own. */
  readonly folder?: string;
}

export interface PluginSearch {
  /** Plugins of the host, loaded first, except where the search finds another copy of the same name. */
  readonly builtIn?: readonly BuiltInPlugin[];
  /** Folders with a package.json whose direct dependencies are searched. Not read when `plugins` is given. */
  readonly projects?: readonly string[];
  /** Package names or paths to load instead of searching, resolved from `from`. */
  readonly plugins?: readonly string[];
  /** The working folder unless given. */
  readonly from?: string;
}

/** Members that each kind must have; functions unless named otherwise. */
const REQUIRED_METHODS: Readonly<Record<ContributionKind, readonly string[]>> = {
  'backbone-adapter': ['accepts', 'open', 'writeTiny'],
  'geometry-head': ['configure'],
  'label-source': ['open'],
  'dataset-format': ['read'],
  benchmark: ['questions', 'extract', 'score', 'combine'],
};

const versionMismatch = (name: string, what: string, found: unknown): SpatialError =>
  new SpatialError({
    code: 'PLUGIN_API_MISMATCH',
    message: `plugin ${name}: ${what}: expected specification "${SPECIFICATION_VERSION}", found ${JSON.stringify(found)}`,
    hint: `Install a version of ${name} that was made for this version of @spatialsv/core.`,
  });

const isKind = (value: unknown): value is ContributionKind =>
  (CONTRIBUTION_KINDS as readonly unknown[]).includes(value);

const checkContribution = (
  value: unknown,
  name: string,
  kinds: readonly ContributionKind[],
): ContributionV1 => {
  if (!isJsonObject(value)) throw invalidPlugin(name, 'a contribution is not an object');
  const { id, kind, specificationVersion } = value;
  if (typeof id !== 'string' || id === '')
    throw invalidPlugin(name, `a contribution has no id (found ${JSON.stringify(id)})`);
  if (specificationVersion !== SPECIFICATION_VERSION)
    throw versionMismatch(name, `contribution "${id}"`, specificationVersion);
  if (!isKind(kind) || !kinds.includes(kind))
    throw invalidPlugin(name, `"${id}" is a ${String(kind)}, expected ${kinds.join(' or ')}`);
  const missing = REQUIRED_METHODS[kind].filter((method) => typeof value[method] !== 'function');
  if (missing.length > 0) throw invalidPlugin(name, `"${id}" lacks ${missing.join(', ')}`);
  return value as unknown as ContributionV1;
};

/** Contributions of a plugin value, each checked. */
const checkPlugin = (
  plugin: unknown,
  name: string,
  kinds: readonly ContributionKind[],
): readonly ContributionV1[] => {
  if (!isJsonObject(plugin) || typeof plugin['contributions'] !== 'function')
    throw invalidPlugin(name, 'the default export is not a plugin made by definePlugin(…)');
  if (plugin['specificationVersion'] !== SPECIFICATION_VERSION)
    throw versionMismatch(name, 'default export', plugin['specificationVersion']);
  const contributions: unknown = plugin['contributions'].call(plugin);
  if (!Array.isArray(contributions)) throw invalidPlugin(name, 'contributions() gives no list');
  return contributions.map((contribution) => checkContribution(contribution, name, kinds));
};

const loadPlugin = async (candidate: PluginCandidate): Promise<LoadedPlugin> => {
  const manifest = await readManifest(candidate.folder);
  if (!manifest) throw invalidPlugin(candidate.name, 'its package.json has no "spatialsv" field');
  const { name, version, folder, kinds, entry } = manifest;
  await tryPlugin(name, entry);
  const module = await importModule(entry).catch((error: unknown) => {
    throw invalidPlugin(name, `${entry} cannot be imported (${describe(error)})`, error);
  });
  return { name, version, folder, contributions: checkPlugin(module['default'], name, kinds) };
};

const describe = (error: unknown): string =>
  isJsonObject(error) && typeof error['message'] === 'string' ? error['message'] : String(error);

/** Collects what loads and what does not, and keeps ids unique per kind. */
class Collector {
  readonly loaded: LoadedPlugin[] = [];
  readonly rejected: RejectedPlugin[] = [];
  readonly #owners = new Map<string, string>();

  async add(name: string, load: () => Promise<LoadedPlugin>): Promise<void> {
    try {
      const plugin = await load();
      this.#claimIds(plugin);
      this.loaded.push(plugin);
    } catch (error) {
      const known = SpatialError.isInstance(error);
      this.rejected.push({
        name,
        error: known ? error : invalidPlugin(name, describe(error), error),
      });
    }
  }

  #claimIds({ name, contributions }: LoadedPlugin): void {
    const keys = contributions.map(({ kind, id }) => `${kind} "${id}"`);
    keys.forEach((key, i) => {
      const owner = this.#owners.get(key) ?? (keys.indexOf(key) < i ? name : undefined);
      if (owner !== undefined) throw invalidPlugin(name, `${key} is already given by ${owner}`);
    });
    for (const key of keys) this.#owners.set(key, name);
  }
}

const addBuiltIn = async (collector: Collector, { name, plugin }: BuiltInPlugin): Promise<void> =>
  collector.add(name, async () => ({
    name,
    contributions: checkPlugin(
      typeof plugin === 'function' ? await plugin() : plugin,
      name,
      CONTRIBUTION_KINDS,
    ),
  }));

const addCandidates = async (
  collector: Collector,
  candidates: readonly PluginCandidate[],
): Promise<void> => {
  // Side by side: each is tried in a process of its own.
  const loads = candidates.map((candidate) => loadPlugin(candidate));
  await Promise.allSettled(loads);
  for (const [i, { name }] of candidates.entries()) await collector.add(name, () => loads[i]!);
};

/** Candidates with real paths, each folder once. */
const distinct = async (
  candidates: readonly PluginCandidate[],
): Promise<readonly PluginCandidate[]> => {
  const real = await Promise.all(
    candidates.map(async ({ name, folder }) => ({ name, folder: await realpath(folder) })),
  );
  const folders = real.map(({ folder }) => folder);
  return real.filter(({ folder }, i) => folders.indexOf(folder) === i);
};

const locateAll = async (
  collector: Collector,
  plugins: readonly string[],
  from: string,
): Promise<readonly PluginCandidate[]> => {
  const found: PluginCandidate[] = [];
  for (const plugin of plugins) {
    const located = await locatePlugin(plugin, from).catch((error: unknown) => error);
    if (SpatialError.isInstance(located)) collector.rejected.push({ name: plugin, error: located });
    else found.push(located as PluginCandidate);
  }
  return found;
};

/**
 * Finds, imports and checks plugins. A plugin that cannot be used is in `rejected` with its reason; one bad plugin
 * never hides the others, whatever its code does: it is tried in a process of its own before it is imported here.
 * @throws SpatialError FILE_MISSING | FILE_INVALID only for a project's own package.json.
 */
export const loadPlugins = async (search: PluginSearch): Promise<PluginSet> => {
  const collector = new Collector();
  const builtIn = search.builtIn ?? [];
  const imported = new Set(builtIn.map(({ folder }) => folder));
  const found = search.plugins
    ? await locateAll(collector, search.plugins, search.from ?? process.cwd())
    : (await Promise.all((search.projects ?? []).map(findPlugins))).flat();
  const candidates = (await distinct(found)).filter(({ folder }) => !imported.has(folder));
  const replaced = new Set(candidates.map(({ name }) => name));
  for (const plugin of builtIn) if (!replaced.has(plugin.name)) await addBuiltIn(collector, plugin);
  await addCandidates(collector, candidates);
  return { loaded: collector.loaded, rejected: collector.rejected };
};
