import { readFileSync } from 'node:fs';

/** Version of the package that this file belongs to. */
export function packageVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
