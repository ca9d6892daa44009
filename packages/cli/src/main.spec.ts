import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const entry = fileURLToPath(new URL('../dist/main.js', import.meta.url));

/** The built program in a process of its own. `npm test` builds first; without a build there is nothing to run. */
async function spatialsv(...args: string[]) {
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [entry, ...args]);
    return { exitCode: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { exitCode: code, stdout, stderr };
  }
}

describe('the built program', () => {
  beforeAll(() => {
    if (!existsSync(entry)) throw new Error(`${entry} is missing: run \`npm run build\` first`);
  });

  it('prints results to stdout, errors to stderr, and exits with 0, 1 or 2', async () => {
    const plugins = await spatialsv('plugins', '--json');
    expect(plugins).toMatchObject({ exitCode: 0, stderr: '' });
    expect(JSON.parse(plugins.stdout).rejected).toEqual([]);
    const failed = await spatialsv('ask', '--model', 'x', '--images', 'y', '--question', 'z');
    expect(failed).toMatchObject({ exitCode: 1, stdout: '' });
    expect(failed.stderr).toContain('error[FILE_MISSING]');
    expect(failed.stderr).not.toContain('    at ');
    const wrong = await spatialsv('plugins', '--jsno');
    expect(wrong).toMatchObject({ exitCode: 2, stdout: '' });
  });

  it('shows the stack when asked', async () => {
    const args = ['ask', '--model', 'x', '--images', 'y', '--question', 'z', '--verbose'];
    expect((await spatialsv(...args)).stderr).toContain('    at ');
  });
});
