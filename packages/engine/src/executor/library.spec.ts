import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const fixtures = join(__dirname, '__fixtures__');

describe('the library of ONNX Runtime', () => {
  it('stays loaded when JavaScript memory is collected and no thread of a pool holds it', () => {
    const child = spawnSync(
      process.execPath,
      ['-r', join(fixtures, 'register.cjs'), join(fixtures, 'library-stays.cjs')],
      { encoding: 'utf8', timeout: 60_000 },
    );
    expect({ status: child.status, signal: child.signal }).toEqual({ status: 0, signal: null });
    expect(JSON.parse(child.stdout)).toEqual({ last: 512 });
  }, 60_000);
});
