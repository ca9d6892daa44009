/** Arguments of the scripts beside this one, and their usage: the comment at the top of each. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

/** What the first comment of a script says. */
const usageOf = (url) => {
  const [, comment = ''] =
    /\/\*\*\n([\s\S]*?)\s*\*\//.exec(readFileSync(fileURLToPath(url), 'utf8')) ?? [];
  return comment.replaceAll(/^ \* ?/gm, '');
};

function refuse(message, usage) {
  console.error(`error: ${message}\n\n${usage}`);
  process.exit(2);
}

/**
 * Parses the command line of a script. `--help` prints its usage; what it does not take is an error with the usage, exit code 2.
 * @param url `import.meta.url` of the script.
 * @param options as `parseArgs` of node:util takes them. @param positionals the most arguments without a name.
 * @returns `{ values, positionals, refuse }`; `refuse(message)` ends the script as a wrong argument does.
 */
export function readArguments(url, options = {}, positionals = 0) {
  const usage = usageOf(url);
  const known = { ...options, help: { type: 'boolean', short: 'h' } };
  let parsed;
  try {
    parsed = parseArgs({ options: known, allowPositionals: positionals > 0 });
  } catch (error) {
    refuse(error.message, usage);
  }
  if (parsed.values.help) {
    console.log(usage);
    process.exit(0);
  }
  if (parsed.positionals.length > positionals)
    refuse(
      `expected at most ${positionals} arguments, found ${parsed.positionals.join(' ')}`,
      usage,
    );
  return { ...parsed, refuse: (message) => refuse(message, usage) };
}

/** @returns the whole number above 0 that an option was given, or its default. */
export function wholeNumber({ values, refuse }, name) {
  const value = Number(values[name]);
  if (Number.isSafeInteger(value) && value > 0) return value;
  return refuse(`--${name}: expected a whole number above 0, found "${values[name]}"`);
}

/**
 * A module of the built packages; where nothing is built, that is said and the script ends with exit code 2.
 * @param file below `packages/`.
 */
export async function importBuilt(file) {
  const url = new URL(`../packages/${file}`, import.meta.url);
  if (existsSync(url)) return import(url.href);
  console.error(
    `error: expected ${fileURLToPath(url)}, found nothing\nhint: Run \`npm run build\` first.`,
  );
  return process.exit(2);
}
