import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve, sep } from 'node:path';

/** A path that begins with `~/` begins in the home folder, as in a shell; any other one stays. */
export const expandHome = (path: string): string =>
  /^~(?=$|[/\\])/.test(path) ? join(homedir(), path.slice(1)) : path;

/**
 * Absolute path of what somebody wrote, on whichever system: `~` is the home folder, and `\` separates folders unless there is a
 * file of that very name.
 */
export function resolvePath(folder: string, path: string): string {
  const written = resolve(folder, expandHome(path));
  if (sep === '\\' || !path.includes('\\') || existsSync(written)) return written;
  return resolve(folder, expandHome(path.replaceAll('\\', '/')));
}
