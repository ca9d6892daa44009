import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openPeer } from './pytorch-peer.js';

const VARIABLE = 'SPATIALSV_PYTHON';
const before = process.env[VARIABLE];
let folder: string;
let script: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'spatialsv-peer-'));
  script = path.join(folder, 'peer.py');
  await writeFile(script, '');
});

afterEach(() => {
  if (before === undefined) delete process.env[VARIABLE];
  else process.env[VARIABLE] = before;
});

afterAll(() => rm(folder, { recursive: true }));

/** Instead of Python: `has` answers whether there is torch; it finds no GPU; `body` is what the peer does. */
async function usePython(has: boolean, body: string): Promise<void> {
  const file = path.join(folder, 'python');
  const checks = `case "$*" in *is_available*) exit 1;; -c*) exit ${has ? 0 : 1};; esac`;
  await writeFile(file, `#!/bin/sh\n${checks}\n${body}\n`);
  await chmod(file, 0o755);
  process.env[VARIABLE] = file;
}

test('a peer answers once for every time that it is asked', async () => {
  await usePython(true, `echo '{"threads":2}'; while read line; do echo '{"step_ms":3}'; done`);
  const peer = (await openPeer(script, {}))!;
  expect(peer.ready).toEqual({ threads: 2 });
  expect(await peer.run()).toEqual({ step_ms: 3 });
  expect(await peer.run()).toEqual({ step_ms: 3 });
  await peer.close();
});

test('there is no peer without torch, without a GPU or without its script, and stderr says why', async () => {
  const write = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
  await usePython(false, '');
  expect(await openPeer(script, {})).toBeUndefined();
  expect(write).toHaveBeenLastCalledWith(expect.stringMatching(/^no peer: .*python has no torch/));
  await usePython(true, `echo '{}'`);
  expect(await openPeer(script, { device: 'cuda:0' })).toBeUndefined();
  expect(write).toHaveBeenLastCalledWith(expect.stringMatching(/^no peer: .*finds no GPU/));
  expect(await openPeer(path.join(folder, 'none.py'), {})).toBeUndefined();
  expect(write).toHaveBeenLastCalledWith(
    expect.stringMatching(/^no peer: .*none\.py is not there/),
  );
  write.mockRestore();
});

test('a peer that ends is an error with its exit code and its own last error', async () => {
  const end = 'echo "Traceback" >&2; echo "torch.OutOfMemoryError: 3 GiB" >&2; exit 3';
  await usePython(true, end);
  await expect(openPeer(script, {})).rejects.toThrow(
    'the PyTorch peer ended (exit code 3): torch.OutOfMemoryError: 3 GiB',
  );
  await usePython(true, `echo '{}'; read line; ${end}`);
  const peer = (await openPeer(script, {}))!;
  await expect(peer.run()).rejects.toThrow('torch.OutOfMemoryError: 3 GiB');
  await peer.close();
});
