import { readFile } from 'node:fs/promises';
import { SpatialError } from '@spatialsv/core';
import { parse } from 'yaml';

/** Settings of a plugin, checked by it. */
export type Settings = Readonly<Record<string, unknown>>;

/**
 * Settings of a source from a YAML file, with those of the command line over them.
 * @param given YAML texts by key: `true`, `0.5`, `{h: 4, w: 4}`.
 * @throws SpatialError FILE_MISSING | CONFIG_INVALID; USAGE for a text that is no YAML.
 */
export async function readSettings(
  file: string | undefined,
  given: Readonly<Record<string, string>> = {},
): Promise<Settings> {
  const settings = parseSettings('--setting', given);
  if (file === undefined) return settings;
  const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new SpatialError({
      code: 'FILE_MISSING',
      message: `--settings ${file}: cannot be read (${cause.code})`,
      hint: 'Name a YAML file with the settings of the source, one key a line.',
      cause,
    });
  });
  return { ...parseFile(file, text), ...settings };
}

/**
 * Settings of the command line.
 * @param option that they were given with, for messages. @param given YAML texts by key.
 * @throws SpatialError USAGE for a text that is no YAML.
 */
export function parseSettings(
  option: string,
  given: Readonly<Record<string, string>> = {},
): Settings {
  const parsed = Object.entries(given).map(
    ([key, text]) => [key, parseSetting(option, key, text)] as const,
  );
  return Object.fromEntries(parsed);
}

function parseSetting(option: string, key: string, text: string): unknown {
  try {
    return parse(text);
  } catch (cause) {
    throw new SpatialError({
      code: 'USAGE',
      message: `${option} ${key}=${text}: ${(cause as Error).message.split('\n')[0]}`,
      hint: 'Values are YAML, for example `true`, `0.5` or `{ h: 4, w: 4 }`.',
      cause,
    });
  }
}

function parseFile(file: string, text: string): Settings {
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
  if (typeof content === 'object' && !Array.isArray(content)) return content as Settings;
  throw invalid(`expected keys and values, found ${JSON.stringify(content).slice(0, 60)}`);
}
