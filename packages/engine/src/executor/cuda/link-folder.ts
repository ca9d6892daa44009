import { createHash } from 'node:crypto';
import { mkdirSync, readlinkSync, symlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { userCacheFolder } from '../../cache-folder.js';
import { libraryVersion, locateLibrary } from '../library.js';
import { type CudaInstallation, findCuda, PROVIDER_FILE, SHARED_FILE } from './installation.js';

let found: CudaInstallation | undefined;

/** What there is of CUDA; the search runs once. @throws EngineError LIBRARY_MISSING. */
export function cudaInstallation(): CudaInstallation {
  found ??= findCuda(dirname(locateLibrary()), libraryVersion());
  return found;
}

/**
 * The path from which the library of ONNX Runtime is to be loaded. Where a provider was found, a link beside one to it; a
 * cache that cannot be written leaves the library without it.
 * @throws EngineError LIBRARY_MISSING.
 */
export function pathWithProviders(): string {
  const library = locateLibrary();
  const { provider } = cudaInstallation();
  if (provider === null || provider === dirname(library)) return library;
  try {
    return linkProvider(library, provider);
  } catch {
    return library;
  }
}

/**
 * A folder in the user's cache with links to the library of ONNX Runtime and to a provider that lies elsewhere: the library
 * looks for its providers beside the path that it was loaded from.
 * @returns path of the link to the library. @throws the system's error where the cache cannot be written.
 */
export function linkProvider(library: string, provider: string): string {
  const files = [library, join(provider, PROVIDER_FILE), join(provider, SHARED_FILE)];
  // The name is made of the targets, so that a link never has to be changed while somebody uses it.
  const name = createHash('sha256').update(files.join('\n')).digest('hex').slice(0, 16);
  const folder = join(userCacheFolder(), 'cuda', name);
  mkdirSync(folder, { recursive: true });
  for (const file of files) link(file, join(folder, basename(file)));
  return join(folder, basename(library));
}

function link(target: string, path: string): void {
  try {
    symlinkSync(target, path);
  } catch (error) {
    const isMade = (error as NodeJS.ErrnoException).code === 'EEXIST';
    if (!isMade || readlinkSync(path) !== target) throw error;
  }
}
