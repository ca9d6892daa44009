import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { neededLibraries } from './needed-libraries.js';
import { CUDA_VARIABLE, searchFolders, wheelVersion } from './search-folders.js';

/** What ONNX Runtime opens by this name, with {@link SHARED_FILE} beside it. */
export const PROVIDER_FILE = 'libonnxruntime_providers_cuda.so';
export const SHARED_FILE = 'libonnxruntime_providers_shared.so';
/** The provider opens it by name when a session is made, so that its tables do not mention it. */
const CUDNN = 'libcudnn.so.9';
const DRIVER = 'libcuda.so.1';
const CUDA_LIBRARY = /^lib(cu|nv)/;

/** A shared library, and where it was found. */
export interface FoundLibrary {
  /** With its major version, for example `libcudart.so.13`. */
  readonly name: string;
  /** Null where it is in none of the folders; the system's loader may still know it. */
  readonly file: string | null;
  /** Files of other major versions, where this one was not found: they do not serve. */
  readonly others?: readonly string[];
}

/** What is there of what the device `cuda` needs. */
export interface CudaInstallation {
  /** Folder of the provider; null where none of the right version was found. */
  readonly provider: string | null;
  /** Version of ONNX Runtime that the provider has to be of. */
  readonly version: string;
  /** Providers of other versions. */
  readonly refused: readonly { readonly folder: string; readonly version: string }[];
  /** Libraries in the order in which they are to be loaded; empty where there is no provider to say so. */
  readonly libraries: readonly FoundLibrary[];
  /** One command that installs what is missing, but for the driver. */
  readonly install: string;
}

/**
 * Looks for the provider and for the libraries that it is linked against. Nothing is loaded.
 * @param own folder of the library of ONNX Runtime. @param version its version.
 */
export function findCuda(
  own: string,
  version: string,
  env: NodeJS.ProcessEnv = process.env,
): CudaInstallation {
  const folders = searchFolders(own, env);
  const candidates = folders
    .filter((folder) =>
      [PROVIDER_FILE, SHARED_FILE].every((name) => existsSync(join(folder, name))),
    )
    .map((folder) => ({ folder, version: wheelVersion(folder) ?? version }));
  const provider = candidates.find((each) => each.version === version)?.folder ?? null;
  return {
    provider,
    version,
    refused: candidates.filter((each) => each.version !== version),
    libraries: provider === null ? [] : librariesOf(join(provider, PROVIDER_FILE), folders),
    install: installCommand(version),
  };
}

function librariesOf(provider: string, folders: readonly string[]): FoundLibrary[] {
  const needed = neededLibraries(provider).filter((name) => CUDA_LIBRARY.test(name));
  // What others are linked against comes first: the loader takes what is in the process already.
  const order = [DRIVER, 'libcudart', 'libcublasLt', 'libcublas.'];
  const rank = (name: string) => {
    const index = order.findIndex((start) => name.startsWith(start));
    return index < 0 ? order.length : index;
  };
  return [...needed, CUDNN]
    .toSorted((a, b) => rank(a) - rank(b))
    .map((name) => ({ name, ...locate(name, folders) }));
}

function locate(name: string, folders: readonly string[]): Omit<FoundLibrary, 'name'> {
  const folder = folders.find((each) => existsSync(join(each, name)));
  if (folder !== undefined) return { file: join(folder, name) };
  const others = folders.flatMap((each) => otherVersions(name, each));
  return { file: null, ...(others.length > 0 && { others }) };
}

/** Files of a folder that are a library in another major version. */
function otherVersions(name: string, folder: string): string[] {
  const [stem] = name.split('.so.') as [string];
  const isOther = (file: string) => file.startsWith(`${stem}.so.`) && /\.so\.\d+$/.test(file);
  try {
    return readdirSync(folder)
      .filter(isOther)
      .map((file) => join(folder, file));
  } catch {
    return [];
  }
}

/** cuDNN's wheel brings cuBLAS along. */
const installCommand = (version: string): string =>
  `python3 -m pip install "onnxruntime-gpu[cuda,cudnn]==${version}"`;

/** What to do about an installation that is not complete. */
export const installHint = ({ install }: CudaInstallation): string =>
  `Run \`${install}\` in a Python environment and start with it active, or name its folder in ${CUDA_VARIABLE}; an NVIDIA driver for CUDA 13 (580 or newer) is needed too.`;
