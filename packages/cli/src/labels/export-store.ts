import { join } from 'node:path';
import { type LabelStore, SpatialError } from '@spatialsv/core';
import { exportLabels, LABEL_FORMATS, type LabelFormat } from '@spatialsv/inspect';
import type { CommandContext } from '../context.js';
import { countSets } from './label-report.js';
import { shortKey } from './store-keys.js';

/** A view set that was exported. */
export interface ExportedSet {
  readonly key: string;
  readonly folder: string;
  /** Relative to the folder. */
  readonly files: readonly string[];
  readonly notes: readonly string[];
}

/**
 * Exports view sets into folders named after their keys.
 * @throws SpatialError DATA_INVALID for a damaged entry, and what the exporters throw, with the key.
 */
export async function exportStore(
  store: LabelStore,
  keys: readonly string[],
  { out, formats }: { readonly out: string; readonly formats: readonly LabelFormat[] },
  { progress, signal }: CommandContext,
): Promise<ExportedSet[]> {
  const exported: ExportedSet[] = [];
  progress.start('Exporting', keys.length);
  for (const key of keys) {
    signal.throwIfAborted();
    const folder = join(out, shortKey(key));
    const stored = store.read(key);
    if (stored === undefined) continue;
    const { files, notes } = await located(key, () =>
      exportLabels({ key, ...stored }, folder, { formats }),
    );
    exported.push({ key, folder, files, notes });
    progress.update(exported.length);
  }
  progress.done(`${countSets(exported.length)} exported`);
  return exported;
}

async function located<Result>(key: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (cause) {
    if (!SpatialError.isInstance(cause)) throw cause;
    const { code, message, hint } = cause;
    throw new SpatialError({ code, message: `view set ${shortKey(key)}: ${message}`, hint, cause });
  }
}

/** @throws SpatialError USAGE for a name that is no format. */
export function labelFormats(names: readonly string[]): readonly LabelFormat[] {
  const unknown = names.find((name) => !(LABEL_FORMATS as readonly string[]).includes(name));
  if (unknown === undefined) return names as readonly LabelFormat[];
  throw new SpatialError({
    code: 'USAGE',
    message: `--to: expected ${LABEL_FORMATS.join(', ')}, found "${unknown}"`,
    hint: 'Run the command with --help to see its options.',
  });
}
