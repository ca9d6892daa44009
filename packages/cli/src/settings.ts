import { readText, readYaml, SpatialError } from '@spatialsv/core';

const MAX_SETTINGS_BYTES = 1 << 22;

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
  const text = await readText(file, MAX_SETTINGS_BYTES);
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
    return readYaml(text, option).value ?? null;
  } catch (cause) {
    throw new SpatialError({
      code: 'USAGE',
      message: `${option} ${key}=${text.slice(0, 60)}: ${(cause as Error).message.split('\n')[0]}`,
      hint: 'Values are YAML, for example `true`, `0.5` or `{ h: 4, w: 4 }`.',
      cause,
    });
  }
}

function parseFile(file: string, text: string): Settings {
  const content = readYaml(text, `--settings ${file}`).value ?? {};
  if (typeof content === 'object' && !Array.isArray(content)) return content as Settings;
  throw new SpatialError({
    code: 'CONFIG_INVALID',
    message: `--settings ${file}: expected keys and values, found ${JSON.stringify(content).slice(0, 60)}`,
    hint: 'Write one setting of the source a line, for example `featureGrid: { h: 16, w: 16 }`.',
  });
}
