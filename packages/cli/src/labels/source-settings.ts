import { readFile } from 'node:fs/promises';
import { SpatialError } from '@spatialsv/core';
import { InvalidArgumentError } from 'commander';
import { parse } from 'yaml';

export type SourceSettings = Readonly<Record<string, unknown>>;

/** Parser of `--setting key=value`, repeated; values are YAML: `true`, `0.5`, `{h: 4, w: 4}`. */
export function addSetting(text: string, before: SourceSettings = {}): SourceSettings {
  const [, key, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (key === undefined) throw new InvalidArgumentError('Expected key=value.');
  try {
    return { ...before, [key]: parse(value!) };
  } catch (error) {
    throw new InvalidArgumentError(`${key}: ${(error as Error).message.split('\n')[0]}`);
  }
}

/**
 * Settings of a source from a YAML file, with those of the command line over them.
 * @throws SpatialError FILE_MISSING | CONFIG_INVALID.
 */
export async function readSettings(
  file: string | undefined,
  given: SourceSettings = {},
): Promise<SourceSettings> {
  if (file === undefined) return given;
  const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new SpatialError({
      code: 'FILE_MISSING',
      message: `--settings ${file}: cannot be read (${cause.code})`,
      hint: 'Name a YAML file with the settings of the source, one key a line.',
      cause,
    });
  });
  return { ...parseFile(file, text), ...given };
}

function parseFile(file: string, text: string): SourceSettings {
  const invalid = (problem: string, cause?: unknown) =>
    new SpatialError({
      code: 'CONFIG_INVALID',
      message: `--settings ${file}: ${problem}`,
      hint: 'Write one setting of the source a line, for example `featureGrid: { h: 16, w: 16 }`.',
      cause,
    });
  let content: unknown;
  try {
    content = parse(text) ?? {};
  } catch (cause) {
    throw invalid((cause as Error).message, cause);
  }
  if (typeof content === 'object' && !Array.isArray(content)) return content as SourceSettings;
  throw invalid(`expected keys and values, found ${JSON.stringify(content).slice(0, 60)}`);
}
