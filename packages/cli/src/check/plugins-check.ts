import { stat } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { type Finding, findingOf, type PluginSet, readOptionalJson } from '@spatialsv/core/host';
import { composePlugins } from '../composition.js';
import type { Check } from './report.js';

const PACKAGE_FILE = 'package.json';

/** Packages of plugins, and projects that depend on some: whether each plugin can be loaded. */
export const pluginsCheck: Check = {
  kind: 'plugins',
  matches: async (path) => {
    const found = await stat(path).catch(() => undefined);
    if (found?.isFile()) return basename(path) === PACKAGE_FILE;
    return found?.isDirectory() === true && (await isPlugin(path));
  },
  run: async (path) => {
    const folder = resolve(basename(path) === PACKAGE_FILE ? dirname(path) : path);
    const isOne = await isPlugin(folder);
    const { plugins } = await composePlugins(folder, isOne ? [folder] : undefined);
    return {
      kind: 'plugins',
      path,
      summary: isOne ? 'package of a plugin' : 'project',
      facts: { plugins: describeLoaded(plugins) },
      passedOver: [],
      findings: pluginFindings(plugins),
    };
  },
};

/** Whether a folder's package.json says that it is a plugin; one that cannot be read does not. */
const isPlugin = async (folder: string): Promise<boolean> => {
  const content = await readOptionalJson(folder, PACKAGE_FILE).catch(() => undefined);
  return content?.['spatialsv'] !== undefined;
};

/** Plugins that were rejected, with the reason. */
export const pluginFindings = ({ rejected }: PluginSet): readonly Finding[] =>
  rejected.map(({ error }) => findingOf(error));

/** Those of the user, with what they bring. */
function describeLoaded({ loaded }: PluginSet): readonly string[] {
  const own = loaded.filter(({ folder }) => folder !== undefined);
  const ids = (name: string) =>
    own
      .find((each) => each.name === name)!
      .contributions.map(({ kind, id }) => `${kind} ${id}`)
      .join(', ');
  return own.length === 0 ? ['none'] : own.map(({ name }) => `${name} (${ids(name)})`);
}
