import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ThreadPool } from './thread-pool.js';

const folder = mkdtempSync(join(tmpdir(), 'spatialsv-threads-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('ThreadPool', () => {
  const poolOf = (program: string, threads = 2) => {
    const file = join(folder, `${program.length}.mjs`);
    writeFileSync(
      file,
      `import { parentPort, workerData } from 'node:worker_threads';\n${program}`,
    );
    return new ThreadPool<string, number>({
      ...{ entry: pathToFileURL(file), data: { add: 1 }, threads },
    });
  };

  it('spreads questions over its threads, each with its own answer', async () => {
    const pool = poolOf(`parentPort.on('message', ({ id, request }) =>
      parentPort.postMessage({ id, reply: Number(request) + workerData.add }));`);
    const asked = Array.from({ length: 9 }, (_, i) => pool.ask(String(i)));
    expect(await Promise.all(asked)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    await pool.dispose();
  });

  it('throws what a thread says went wrong', async () => {
    const pool = poolOf(`parentPort.on('message', ({ id }) => parentPort.postMessage({ id,
      failure: { message: 'too small', coded: { code: 'IMAGE_INVALID', hint: 'Larger.' } } }));`);
    await expect(pool.ask('1')).rejects.toMatchObject({
      ...{ code: 'IMAGE_INVALID', hint: 'Larger.', message: 'too small' },
    });
    await pool.dispose();
  });

  it('does not wait for a thread that has ended', async () => {
    const pool = poolOf(`parentPort.on('message', () => process.exit(3));`, 1);
    await expect(pool.ask('1')).rejects.toThrow('ended with 3');
    await expect(pool.ask('2')).rejects.toThrow('ended with 3');
    await pool.dispose();
  });

  it('is ready once a thread has opened what it serves, and prefers that one', async () => {
    const pool = poolOf(
      `parentPort.on('message', ({ id }) =>
      parentPort.postMessage({ id, reply: workerData.add }));
      setTimeout(() => parentPort.postMessage({ ready: true }), 10);`,
      1,
    );
    expect(pool.isReady).toBe(false);
    while (!pool.isReady) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await pool.ask('1')).toBe(1);
    expect(pool.size).toBe(1);
    await pool.dispose();
    expect(pool.isReady).toBe(false);
  });
});
