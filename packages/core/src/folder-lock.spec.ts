import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LOCK_FILE, lockFolder } from './folder-lock.js';
import { createProcessOwner, type ProcessOwner } from './process-owner.js';
import { withTemporaryFolder } from './testing/temporary-folder.js';

/** A lock as a process leaves it that ends without giving it back. */
const leave = (folder: string, change: Partial<ProcessOwner>, expiresAt = Date.now() + 60_000) =>
  writeFileSync(
    join(folder, LOCK_FILE),
    JSON.stringify({
      owner: { ...createProcessOwner(), ...change },
      purpose: 'train',
      since: '2026-01-01T00:00:00.000Z',
      expiresAt,
    }),
  );

describe('lockFolder', () => {
  it('keeps a second one out, with the name of the owner, until it is given back', () =>
    withTemporaryFolder(async (folder) => {
      const out = join(folder, 'new/run');
      const lock = await lockFolder(out, 'train');
      await lock.requireHeld();
      const second = lockFolder(out, 'train');
      await expect(second).rejects.toMatchObject({ code: 'USAGE' });
      await expect(second).rejects.toThrow(new RegExp(`'train', process ${process.pid} on `));
      await lock.release();
      expect(readdirSync(out)).toEqual([]);
      await (await lockFolder(out, 'eval')).release();
    }));

  it.each([
    ['whose process is gone', { pid: 2 ** 22 + 1 }],
    ['whose process id belongs to a later process', { started: '1' }],
    ['from before the machine was started again', { boot: 'another' }],
  ])('takes over a lock %s', (_name, change) =>
    withTemporaryFolder(async (folder) => {
      leave(folder, change);
      const lock = await lockFolder(folder, 'train');
      await lock.requireHeld();
      expect(readdirSync(folder)).toEqual([LOCK_FILE]);
      await lock.release();
      expect(readdirSync(folder)).toEqual([]);
    }),
  );

  it('takes over a lock of another machine only when it was not renewed', () =>
    withTemporaryFolder(async (folder) => {
      leave(folder, { host: 'elsewhere', boot: '' });
      await expect(lockFolder(folder, 'train')).rejects.toThrow(/on elsewhere/);
      leave(folder, { host: 'elsewhere', boot: '' }, Date.now() - 1);
      await (await lockFolder(folder, 'train')).release();
    }));

  it('goes to one of many who find it left behind', () =>
    withTemporaryFolder(async (folder) => {
      for (let round = 0; round < 5; round++) {
        leave(folder, { pid: 2 ** 22 + 1 });
        const tries = Array.from({ length: 12 }, () => lockFolder(folder, 'train'));
        const results = await Promise.allSettled(tries);
        const won = results.filter((result) => result.status === 'fulfilled');
        expect(won).toHaveLength(1);
        await won[0]!.value.requireHeld();
        await won[0]!.value.release();
        expect(readdirSync(folder)).toEqual([]);
      }
    }));

  it('goes on where a process died while it took a lock over', () =>
    withTemporaryFolder(async (folder) => {
      leave(folder, { pid: 2 ** 22 + 1 });
      const { owner } = JSON.parse(readFileSync(join(folder, LOCK_FILE), 'utf8'));
      const guard = join(folder, `${LOCK_FILE}.${owner.id}`);
      const left = { ...createProcessOwner(), pid: 2 ** 22 + 2 };
      const lock = { owner: left, purpose: 'train', since: '', expiresAt: 0 };
      writeFileSync(guard, JSON.stringify(lock));
      await (await lockFolder(folder, 'train')).release();
      expect(readdirSync(folder)).toEqual([]);
    }));

  it('is noticed when it was lost', () =>
    withTemporaryFolder(async (folder) => {
      const lock = await lockFolder(folder, 'train');
      leave(folder, { host: 'elsewhere' });
      await expect(lock.requireHeld()).rejects.toThrow(
        /taken by 'train', process \d+ on elsewhere/,
      );
      await lock.release();
      expect(readdirSync(folder)).toEqual([LOCK_FILE]);
    }));

  it('refuses a file that is no lock', () =>
    withTemporaryFolder(async (folder) => {
      writeFileSync(join(folder, LOCK_FILE), 'mine');
      await expect(lockFolder(folder, 'train')).rejects.toMatchObject({ code: 'FILE_INVALID' });
    }));
});
