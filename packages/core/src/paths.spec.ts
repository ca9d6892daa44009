import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { expandHome, resolvePath } from './paths.js';

describe('paths', () => {
  it('begin in the home folder where they begin with ~', () => {
    expect(expandHome('~')).toBe(homedir());
    expect(expandHome('~/a b')).toBe(join(homedir(), 'a b'));
    for (const path of ['~a', 'a/~', './~/a', '/~', '']) expect(expandHome(path)).toBe(path);
    expect(resolvePath('/x', '~/a')).toBe(join(homedir(), 'a'));
  });

  const itOnPosix = process.platform === 'win32' ? it.skip : it;
  itOnPosix('are separated by backslashes, unless a file is called so', () => {
    const folder = mkdtempSync(join(tmpdir(), 'paths-'));
    expect(resolvePath(folder, 'runs\\a')).toBe(join(folder, 'runs/a'));
    expect(resolvePath(folder, '~\\a')).toBe(join(homedir(), 'a'));
    writeFileSync(join(folder, 'runs\\a'), '');
    expect(resolvePath(folder, 'runs\\a')).toBe(join(folder, 'runs\\a'));
    rmSync(folder, { recursive: true });
  });
});
