import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const fixtures = join(__dirname, '__fixtures__');

/** What a script prints in a process of its own. */
function run(script: string): unknown {
  const child = spawnSync(
    process.execPath,
    ['-r', join(fixtures, 'register.cjs'), join(fixtures, script)],
    { encoding: 'utf8', timeout: 300_000 },
  );
  const { status, signal, stderr } = child;
  expect({ status, signal, stderr }).toEqual({ status: 0, signal: null, stderr: '' });
  return JSON.parse(child.stdout);
}

describe('the library of ONNX Runtime', () => {
  it('stays loaded when JavaScript memory is collected and no thread of a pool holds it', () => {
    expect(run('library-stays.cjs')).toEqual({ last: 512 });
  });

  it('has the stacks it needs, whichever library was loaded first', () => {
    expect(run('mapping-first.cjs')).toEqual({ size: true, providers: true });
  });
});
