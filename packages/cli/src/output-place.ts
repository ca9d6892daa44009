import { accessSync, constants, type Stats, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { SpatialError } from '@spatialsv/core/spec';
import type { Command } from 'commander';

/**
 * Looks at what `--out` names before anything is computed.
 * @throws SpatialError USAGE where a file is in the place of a folder, or the other way round, or nothing may be written.
 */
export function requireOutputPlace(command: Command): void {
  const option = command.options.find(({ long }) => long === '--out');
  const path: unknown = option && command.getOptionValue(option.attributeName());
  if (typeof path !== 'string') return;
  const isFile = option!.flags.includes('<file>') || path.endsWith('.html');
  const found = statIfThere(path);
  if (found !== undefined && found.isDirectory() === isFile) {
    const [expected, other] = isFile ? ['file', 'folder'] : ['folder', 'file'];
    throw refused(path, `expected a ${expected} to write, found a ${other}`);
  }
  requireWritable(path, isFile || found === undefined ? dirname(path) : path);
}

/** A folder that is not there yet is made in the nearest one above it. */
function requireWritable(path: string, folder: string): void {
  let at = resolve(folder);
  while (statIfThere(at) === undefined) at = dirname(at);
  if (!statIfThere(at)!.isDirectory()) throw refused(path, `${at} is a file, not a folder`);
  try {
    accessSync(at, constants.W_OK);
  } catch {
    throw refused(path, `nothing may be written into ${at}`);
  }
}

const refused = (path: string, what: string): SpatialError =>
  new SpatialError({
    code: 'USAGE',
    message: `--out ${path}: ${what}`,
    hint: 'Choose another path with --out; folders that are not there are made.',
  });

function statIfThere(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}
