import os from 'node:os';
import path from 'node:path';

/** The folder of this user for what can be made anew. */
export function userCacheFolder(
  platform: NodeJS.Platform = process.platform,
  variables: NodeJS.ProcessEnv = process.env,
): string {
  const { XDG_CACHE_HOME: xdg, LOCALAPPDATA: local } = variables;
  if (xdg !== undefined && path.isAbsolute(xdg)) return path.join(xdg, 'spatialsv');
  const home = os.homedir();
  if (platform === 'darwin') return path.join(home, 'Library', 'Caches', 'spatialsv');
  if (platform === 'win32') {
    return path.join(local ?? path.join(home, 'AppData', 'Local'), 'spatialsv', 'cache');
  }
  return path.join(home, '.cache', 'spatialsv');
}
