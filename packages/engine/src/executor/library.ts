import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import koffi, { type LibraryHandle } from 'koffi';
import { EngineError } from '../errors.js';

const PACKAGE = 'onnxruntime-node';
const MEBIBYTE = 1024 * 1024;
/**
 * Native code runs on stacks that koffi allocates. ONNX Runtime recurses over the graph, so the default of 128 KiB for
 * worker threads would be a silent overflow; 8 MiB is what an operating system gives a main thread (pages are lazy).
 */
export const STACK_BYTES = 8 * MEBIBYTE;
const SMALLEST_SAFE_STACK_BYTES = MEBIBYTE;

const FILE_NAME: Partial<Record<NodeJS.Platform, (version: string) => string>> = {
  linux: () => 'libonnxruntime.so.1',
  darwin: (version) => `libonnxruntime.${version}.dylib`,
  win32: () => 'onnxruntime.dll',
};

/** Path of the shared library inside the installed `onnxruntime-node`. @throws EngineError LIBRARY_MISSING. */
export function locateLibrary(
  platform: NodeJS.Platform = process.platform,
  arch: string = process.arch,
): string {
  const { folder, version } = locatePackage();
  const fileName = FILE_NAME[platform]?.(version);
  const path = fileName && join(folder, 'bin', 'napi-v6', platform, arch, fileName);
  if (path && existsSync(path)) return path;
  throw new EngineError({
    code: 'LIBRARY_MISSING',
    message: `${PACKAGE} ${version} has no ONNX Runtime library for ${platform}-${arch}: expected ${path ?? `${folder}/bin/napi-v6/${platform}`}`,
    hint: 'Linux and Windows on x64 or arm64 and macOS on arm64 are supported; on these, reinstall with `npm install onnxruntime-node`.',
  });
}

/** koffi unloads a library that nothing refers to, and function pointers read from its memory do not count. */
const kept = new Set<object>();

/**
 * Loads a library for the foreign-function layer, `null` for the symbols of the process. Every part of the engine comes here:
 * whichever library is the first, the stacks are those that ONNX Runtime needs.
 * @throws EngineError LIBRARY_MISSING when another user of koffi was earlier, with stacks that are too small.
 */
export function loadForeign(path: string | null): LibraryHandle {
  ensureStack();
  return koffi.load(path);
}

/** As {@link loadForeign}, for a library that stays in the process. @throws what the loader says. */
export function keepForeign(path: string): LibraryHandle {
  const library = loadForeign(path);
  kept.add(library);
  return library;
}

/** Loads the library once per call; the operating system shares one image between calls. */
export function openLibrary(path: string): LibraryHandle {
  ensureStack();
  try {
    return keepForeign(path);
  } catch (cause) {
    throw new EngineError({
      code: 'LIBRARY_MISSING',
      message: `ONNX Runtime could not be loaded from ${path}: ${(cause as Error).message}`,
      hint: 'Reinstall onnxruntime-node for this platform (musl-based systems such as Alpine are not supported).',
      cause,
    });
  }
}

/** Version of the installed `onnxruntime-node`. @throws EngineError LIBRARY_MISSING. */
export const libraryVersion = (): string => locatePackage().version;

function locatePackage(): { folder: string; version: string } {
  const require = createRequire(import.meta.url);
  try {
    const manifest = require.resolve(`${PACKAGE}/package.json`);
    const { version } = require(manifest) as { version: string };
    return { folder: dirname(manifest), version };
  } catch (cause) {
    throw new EngineError({
      code: 'LIBRARY_MISSING',
      message: `package ${PACKAGE} is not installed`,
      hint: 'Run `npm install onnxruntime-node`; with `--ignore-scripts` its install stays offline.',
      cause,
    });
  }
}

/** koffi accepts settings only before its first library; another user of koffi may have been earlier. */
function ensureStack(): void {
  if (koffi.config().async_stack_size! >= STACK_BYTES) return;
  try {
    koffi.config({ async_stack_size: STACK_BYTES, sync_stack_size: STACK_BYTES });
  } catch (cause) {
    if (koffi.config().async_stack_size! >= SMALLEST_SAFE_STACK_BYTES) return;
    throw new EngineError({
      code: 'LIBRARY_MISSING',
      message: `koffi was set up with ${koffi.config().async_stack_size} bytes of stack for worker threads; ONNX Runtime needs ${SMALLEST_SAFE_STACK_BYTES}`,
      hint: 'Use the engine before other libraries are loaded through koffi, or set koffi.config({ async_stack_size }) first.',
      cause,
    });
  }
}
