import { existsSync, readdirSync, realpathSync } from 'node:fs';
import os from 'node:os';
import { delimiter, dirname, join } from 'node:path';

/** Folders to look into first, of libraries or of Python environments; separated as in PATH. */
export const CUDA_VARIABLE = 'SPATIALSV_CUDA';

/** Where CUDA's own installers, containers and Windows' subsystem for Linux put libraries. */
const SYSTEM_FOLDERS = [
  '/usr/local/cuda/lib64',
  '/usr/lib/x86_64-linux-gnu',
  '/usr/lib/aarch64-linux-gnu',
  '/usr/lib64',
  '/usr/local/nvidia/lib64',
  '/usr/lib/wsl/lib',
];

/**
 * Folders that may hold libraries of CUDA, or the provider of ONNX Runtime, in the order of search: what the user named,
 * what the loader would look into, Python environments, the system.
 * @param own folder of the library of ONNX Runtime itself, where its official installer puts a provider.
 */
export function searchFolders(own: string, env: NodeJS.ProcessEnv = process.env): string[] {
  const named = pathsOf(env[CUDA_VARIABLE]).flatMap((path) => [
    path,
    ...foldersOfEnvironment(path),
    ...foldersOfPackages(path),
  ]);
  const pythons = environmentsOf(env).flatMap(foldersOfEnvironment);
  const all = [...named, ...pathsOf(env['LD_LIBRARY_PATH']), own, ...pythons, ...SYSTEM_FOLDERS];
  return [...new Set(all)].filter((folder) => existsSync(folder));
}

const pathsOf = (text: string | undefined): string[] =>
  (text ?? '').split(delimiter).filter(Boolean);

/** Prefixes of Python environments: the active one, that of the interpreter we were given, and those of the user. */
function environmentsOf(env: NodeJS.ProcessEnv): string[] {
  const interpreters = [env['SPATIALSV_PYTHON'], ...onPath('python3', env['PATH'])];
  return [
    env['VIRTUAL_ENV'],
    env['CONDA_PREFIX'],
    ...interpreters.map((file) => file && dirname(dirname(file))),
    ...interpreters.map((file) => file && dirname(dirname(resolved(file)))),
    join(os.homedir(), '.local'),
    '/usr/local',
    '/usr',
  ].filter((prefix): prefix is string => Boolean(prefix));
}

const onPath = (name: string, path: string | undefined): string[] =>
  pathsOf(path)
    .map((folder) => join(folder, name))
    .filter((file) => existsSync(file));

function resolved(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return file;
  }
}

function foldersOfEnvironment(prefix: string): string[] {
  const versions = entriesOf(join(prefix, 'lib')).filter((name) => /^python3(\.\d+)?$/.test(name));
  const packages = versions.flatMap((version) =>
    ['site-packages', 'dist-packages'].map((name) => join(prefix, 'lib', version, name)),
  );
  return [join(prefix, 'lib'), ...packages.flatMap(foldersOfPackages)];
}

/** Folders of a folder of Python packages in which wheels have libraries. */
function foldersOfPackages(packages: string): string[] {
  const nvidia = join(packages, 'nvidia');
  const wheels = entriesOf(nvidia).map((name) => join(nvidia, name, 'lib'));
  return [providerFolder(packages), ...wheels].filter((folder) => existsSync(folder));
}

const providerFolder = (packages: string): string => join(packages, 'onnxruntime', 'capi');

/**
 * Version of the wheel that a folder of providers came with.
 * @returns undefined for a folder that is in no Python environment.
 */
export function wheelVersion(folder: string): string | undefined {
  const packages = dirname(dirname(folder));
  if (providerFolder(packages) !== folder) return undefined;
  const names = entriesOf(packages).map((name) => /^onnxruntime_gpu-(.+)\.dist-info$/.exec(name));
  return names.find((match) => match !== null)?.[1];
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
