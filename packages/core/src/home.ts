import { homedir } from 'node:os';
import { join } from 'node:path';

/** A path that begins with `~/` begins in the home folder, as in a shell; any other one stays. */
export const expandHome = (path: string): string =>
  /^~(?=$|[/\\])/.test(path) ? join(homedir(), path.slice(1)) : path;
