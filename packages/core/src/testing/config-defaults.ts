import { isJsonObject, type JsonObject } from '../json.js';

/** Every place of a key in a configuration and the objects in it: `vision_config.depth`. */
const placesOf = (config: JsonObject, prefix = ''): readonly string[] =>
  Object.entries(config).flatMap(([key, value]) => [
    `${prefix}${key}`,
    ...(isJsonObject(value) ? placesOf(value, `${prefix}${key}.`) : []),
  ]);

const without = (config: JsonObject, [key, ...inner]: readonly string[]): JsonObject => {
  const { [key!]: value, ...rest } = config;
  return inner.length === 0 ? rest : { ...rest, [key!]: without(value as JsonObject, inner) };
};

/**
 * Keys of a config.json whose default is not the one that is written out: leaving such a key out changes what is read.
 * @param config with the defaults of the reference written out.
 * @param parse what an adapter reads of it; throws where a key is asked for.
 * @param skipped places of keys that have to be there.
 * @returns places with what became of them, none where every default is right.
 */
export function wrongDefaults(
  config: JsonObject,
  parse: (config: JsonObject) => unknown,
  skipped: readonly string[],
): Readonly<Record<string, unknown>> {
  const expected = JSON.stringify(parse(config));
  const wrong: Record<string, unknown> = {};
  for (const place of placesOf(config)) {
    if (skipped.includes(place)) continue;
    const found = outcome(() => parse(without(config, place.split('.'))));
    if (found !== expected) wrong[place] = found;
  }
  return wrong;
}

function outcome(read: () => unknown): string {
  try {
    return JSON.stringify(read());
  } catch (error) {
    return (error as Error).message;
  }
}
