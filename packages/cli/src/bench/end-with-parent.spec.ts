import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

const FIXTURES = path.join(__dirname, '__fixtures__');
const REGISTER = path.join(__dirname, '../../../engine/src/executor/__fixtures__/register.cjs');
const REFERENCE = path.join(__dirname, '../../../../reference');

let folder: string;
let python: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'spatialsv-end-'));
  python = path.join(folder, 'python');
  await writeFile(python, `#!/bin/sh\ncase "$1" in -c) exit 0;; esac\nexec python3 "$@"\n`);
  await chmod(python, 0o755);
});
afterAll(() => rm(folder, { recursive: true }));

const hasPython = spawnSync('python3', ['-c', '0']).status === 0;
const withPython = hasPython && process.platform !== 'win32' ? describe : describe.skip;

/** What a peer says of its work to a pipe that closes when it ends, where its bench is ended in the middle. */
async function saidWhen(end: (bench: ChildProcess) => unknown, way: string): Promise<string> {
  const fifo = path.join(folder, `${way}-${process.hrtime.bigint()}`);
  execFileSync('mkfifo', [fifo]);
  const node = [...process.execArgv, '-C', '@spatialsv/source', '-r', REGISTER];
  const args = [path.join(FIXTURES, 'busy-bench.cjs'), way, path.join(FIXTURES, 'busy-peer.py')];
  const bench = spawn(process.execPath, [...node, ...args, fifo], {
    env: { ...process.env, SPATIALSV_PYTHON: python },
    stdio: 'inherit',
  });
  const ended = once(bench, 'exit');
  let text = '';
  for await (const piece of createReadStream(fifo, 'utf8')) {
    if (text === '') end(bench);
    text += piece;
  }
  await ended;
  return text;
}

withPython('a peer in the middle of its work', () => {
  describe.each(['asked', 'once', 'part'])('%s', (way) => {
    it.each(['SIGINT', 'SIGTERM', 'SIGKILL'] as const)(
      'ends with a bench that %s ends',
      async (s) => {
        expect(await saidWhen((bench) => bench.kill(s), way)).toBe('begun\n');
      },
    );
  });
});

it('every peer follows its bench before it loads torch', () => {
  const peers = readdirSync(REFERENCE).filter((name) => /^bench_(?!peer).*\.py$/.test(name));
  expect(peers.length).toBeGreaterThan(5);
  for (const name of peers) {
    const [before, after] = readFileSync(path.join(REFERENCE, name), 'utf8').split(
      '\nimport torch\n',
    );
    expect(before).toContain('\nimport bench_peer ');
    expect(after).toBeDefined();
  }
});
