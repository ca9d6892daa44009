import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EngineError } from './errors.js';

/** An installed copy of a package. */
export interface PackageCopy {
  readonly folder: string;
  readonly version: string;
}

const HINT =
  'Install one copy: run `npm dedupe`, or make the package a peer dependency of whatever brings the second one; `npm ls @spatialsv/engine @tensorflow/tfjs` shows who does.';

const ENGINE = Symbol.for('spatialsv.engine');

/**
 * Notes that this copy of the engine is the one of the process. Two copies have two sets of kernels, devices and mapped
 * weights, and tensors of one mean nothing to the other.
 * @throws EngineError DUPLICATE_PACKAGE when another copy was loaded before.
 */
export function claimProcess(own: PackageCopy): void {
  const owner = globalThis as { [ENGINE]?: PackageCopy };
  const first = owner[ENGINE];
  if (first !== undefined && first.folder !== own.folder) {
    throw duplicate('@spatialsv/engine', [first, own]);
  }
  owner[ENGINE] = own;
}

/**
 * @param before marker of the copy of tfjs that was there before, if any.
 * @param own marker of the copy that the engine imported.
 * @throws EngineError DUPLICATE_PACKAGE unless both are of one copy: tfjs shares its registries among all copies, so the
 *   gradients and kernels of one run on tensors of another.
 */
export function requireOneTfjs(before: object | undefined, own: object | undefined): void {
  if (before === undefined || before === own) return;
  const [whole, core] = ['@tensorflow/tfjs', '@tensorflow/tfjs-core'];
  const copies = loadedCopies(whole);
  // Somebody may have imported the core of tfjs alone.
  throw duplicate(whole, copies.length > 1 ? copies : [...copies, ...loadedCopies(core)]);
}

/** The package that a module of this package belongs to. */
export function ownCopy(moduleUrl: string): PackageCopy {
  return copyOf(dirname(fileURLToPath(moduleUrl)))!;
}

/** Copies of a CommonJS package among the modules that Node has loaded. */
function loadedCopies(name: string): readonly PackageCopy[] {
  const part = join('node_modules', ...name.split('/'), sep);
  const files = Object.keys(createRequire(import.meta.url).cache).filter((file) =>
    file.includes(part),
  );
  const copies = files.map((file) => copyOf(dirname(file))).filter((copy) => copy !== undefined);
  return [...new Map(copies.map((copy) => [copy.folder, copy])).values()];
}

/** The nearest folder at or above `folder` that has a package.json with a version. */
function copyOf(folder: string): PackageCopy | undefined {
  for (let current = folder; ; current = dirname(current)) {
    const file = join(current, 'package.json');
    const version = existsSync(file) ? versionIn(file) : undefined;
    if (version !== undefined) return { folder: current, version };
    if (dirname(current) === current) return undefined;
  }
}

const versionIn = (file: string): string | undefined =>
  (JSON.parse(readFileSync(file, 'utf8')) as { version?: string }).version;

function duplicate(name: string, copies: readonly PackageCopy[]): EngineError {
  const listed = copies.map(({ folder, version }) => `${version} in ${folder}`);
  return new EngineError({
    code: 'DUPLICATE_PACKAGE',
    message: `expected one copy of ${name} in this process, found ${listed.join(' and ')}`,
    hint: HINT,
  });
}
