import { realpathSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import {
  BUILT_IN_PLUGIN_NAME,
  type BuiltInPlugin,
  builtInPlugin,
  createRegistry,
  type KnownPlugin,
  loadPlugins,
  type PluginRegistry,
} from '@spatialsv/core/host';
import type { PluginV1 } from '@spatialsv/core/spec';
import benchmarks from '@spatialsv/eval/plugin';

const require = createRequire(import.meta.url);

/** A plugin package of the project, which the user installs or does not. */
export interface FirstParty extends KnownPlugin {
  /** Cheap: models are loaded when they are opened. */
  load(): Promise<{ readonly default: PluginV1 }>;
}

/** The project's own plugins. */
export const FIRST_PARTY: readonly FirstParty[] = [
  {
    name: '@spatialsv/adapter-internvl3',
    gives: ['internvl3', 'internvl_chat', 'internvl'],
    load: () => import('@spatialsv/adapter-internvl3/plugin'),
  },
  {
    name: '@spatialsv/adapter-llava',
    gives: [
      ...['llava-next-video', 'llava_next_video', 'llava-next-video-siglip', 'llava_qwen'],
      ...['llava-onevision', 'llava_onevision', 'llava-onevision-1.5', 'llavaonevision1_5'],
    ],
    load: () => import('@spatialsv/adapter-llava/plugin'),
  },
  {
    name: '@spatialsv/adapter-qwen25vl',
    gives: ['qwen2.5-vl', 'qwen2_5_vl'],
    load: () => import('@spatialsv/adapter-qwen25vl/plugin'),
  },
  {
    name: '@spatialsv/vfm-dav3',
    gives: ['dav3'],
    load: () => import('@spatialsv/vfm-dav3/plugin'),
  },
  {
    name: '@spatialsv/vfm-onnx',
    gives: ['onnx'],
    load: () => import('@spatialsv/vfm-onnx/plugin'),
  },
  {
    name: '@spatialsv/vfm-synthetic',
    gives: ['synthetic'],
    load: () => import('@spatialsv/vfm-synthetic/plugin'),
  },
  {
    name: '@spatialsv/vfm-vggt',
    gives: ['vggt'],
    load: () => import('@spatialsv/vfm-vggt/plugin'),
  },
];

/** Contributions of packages that are no plugins, so that they are not found among the user's dependencies. */
const BUILT_IN: readonly BuiltInPlugin[] = [
  { name: BUILT_IN_PLUGIN_NAME, plugin: builtInPlugin },
  { name: '@spatialsv/eval', plugin: benchmarks },
];

/**
 * The composition root: first-party plugins that are installed beside this package, and those of the user, in a container
 * of this run. The user's are the ones that a configuration names, or else the direct dependencies of the package.json in
 * the working folder; another copy of a first-party plugin among them takes the place of the one beside this package.
 * @param folder working folder, or the folder of the configuration.
 * @param named package names or paths from a configuration.
 */
export async function composePlugins(
  folder: string,
  named?: readonly string[],
): Promise<PluginRegistry> {
  const builtIn = [...FIRST_PARTY.flatMap(besideThis), ...BUILT_IN];
  const search =
    named === undefined
      ? { projects: (await isProject(folder)) ? [folder] : [] }
      : { plugins: named, from: folder };
  return createRegistry(await loadPlugins({ builtIn, ...search }), FIRST_PARTY);
}

/** @returns a first-party plugin in a list, which is empty where it is not installed. */
function besideThis({ name, load }: FirstParty): readonly BuiltInPlugin[] {
  const folder = folderBeside(name);
  return folder === undefined ? [] : [{ name, folder, plugin: async () => (await load()).default }];
}

/** Real path of a package that Node finds from here. */
function folderBeside(name: string): string | undefined {
  try {
    return realpathSync(dirname(require.resolve(`${name}/package.json`)));
  } catch {
    return undefined;
  }
}

/** Whether a folder has a package.json that can be read. */
const isProject = (folder: string): Promise<boolean> =>
  readFile(join(folder, 'package.json'), 'utf8')
    .then((text) => JSON.parse(text) instanceof Object)
    .catch(() => false);
