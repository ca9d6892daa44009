import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import internVl3 from '@spatialsv/adapter-internvl3/plugin';
import llava from '@spatialsv/adapter-llava/plugin';
import qwen25Vl from '@spatialsv/adapter-qwen25vl/plugin';
import {
  BUILT_IN_PLUGIN_NAME,
  builtInPlugin,
  createRegistry,
  loadPlugins,
  type PluginRegistry,
} from '@spatialsv/core/host';
import type { PluginV1 } from '@spatialsv/core/spec';
import benchmarks from '@spatialsv/eval/plugin';
import dav3 from '@spatialsv/vfm-dav3/plugin';
import onnx from '@spatialsv/vfm-onnx/plugin';
import synthetic from '@spatialsv/vfm-synthetic/plugin';
import vggt from '@spatialsv/vfm-vggt/plugin';

type NamedPlugin = { readonly name: string; readonly plugin: PluginV1 };

/** Plugin packages that come with `spatialsv`. Importing them is cheap: models are loaded when they are opened. */
const FIRST_PARTY: readonly NamedPlugin[] = [
  { name: '@spatialsv/adapter-internvl3', plugin: internVl3 },
  { name: '@spatialsv/adapter-llava', plugin: llava },
  { name: '@spatialsv/adapter-qwen25vl', plugin: qwen25Vl },
  { name: '@spatialsv/vfm-dav3', plugin: dav3 },
  { name: '@spatialsv/vfm-onnx', plugin: onnx },
  { name: '@spatialsv/vfm-synthetic', plugin: synthetic },
  { name: '@spatialsv/vfm-vggt', plugin: vggt },
];

/** Contributions of packages that are no plugins, so that they are not found among the user's dependencies. */
const BUILT_IN: readonly NamedPlugin[] = [
  { name: BUILT_IN_PLUGIN_NAME, plugin: builtInPlugin },
  { name: '@spatialsv/eval', plugin: benchmarks },
];

/**
 * The composition root: first-party plugins, and those of the user, in a container of this run. The user's are the ones
 * that a configuration names, or else the direct dependencies of the package.json in the working folder. A first-party
 * plugin that the user installed in another version is taken from there.
 * @param folder working folder, or the folder of the configuration.
 * @param named package names or paths from a configuration.
 */
export async function composePlugins(
  folder: string,
  named?: readonly string[],
): Promise<PluginRegistry> {
  const dependencies = await userDependencies(folder);
  const own = new Set(named ?? dependencies);
  const builtIn = [...FIRST_PARTY.filter(({ name }) => !own.has(name)), ...BUILT_IN];
  if (named !== undefined) {
    return createRegistry(await loadPlugins({ builtIn, plugins: named, from: folder }));
  }
  const projects = dependencies === undefined ? [] : [folder];
  return createRegistry(await loadPlugins({ builtIn, projects }));
}

/** Names in the package.json of the working folder; undefined without one that can be read. */
async function userDependencies(folder: string): Promise<readonly string[] | undefined> {
  try {
    const text = await readFile(join(folder, 'package.json'), 'utf8');
    const { dependencies, devDependencies, optionalDependencies } = JSON.parse(text) as Record<
      string,
      object | undefined
    >;
    return Object.keys({ ...dependencies, ...devDependencies, ...optionalDependencies });
  } catch {
    return undefined;
  }
}
