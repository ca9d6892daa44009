import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { open as openLmdb } from 'lmdb';
import { createProcessOwner } from '../process-owner.js';
import { sampleStoredLabels } from '../testing/sample-labels.js';
import { withTemporaryFolder } from '../testing/temporary-folder.js';
import { storeError } from './environment.js';
import { LabelStore } from './label-store.js';

const [first, second] = [sampleStoredLabels(1), sampleStoredLabels(2)];

const withStore = (use: (store: LabelStore, folder: string) => Promise<void>): Promise<void> =>
  withTemporaryFolder(async (folder) => {
    const store = await LabelStore.open(folder);
    try {
      await use(store, folder);
    } finally {
      await store.close();
    }
  });

const invalid = (message: RegExp, code = 'DATA_INVALID') =>
  expect.objectContaining({
    code,
    message: expect.stringMatching(message),
    hint: expect.anything(),
  });

describe('LabelStore', () => {
  it('gives back what was written, also when it is opened again', async () => {
    await withTemporaryFolder(async (parent) => {
      const folder = path.join(parent, 'made', 'on the way', 'labels.lmdb');
      const store = await LabelStore.open(folder);
      await Promise.all([first, second].map(({ key, stored }) => store.write(key, stored)));
      const read = [first, second].map(({ key }) => store.read(key));
      await store.close();
      const again = await LabelStore.open(folder, { readOnly: true });
      expect([first, second].map(({ key }) => again.read(key))).toEqual(read);
      expect(read[0]).toMatchObject({
        provenance: first.stored.provenance,
        images: first.stored.images,
      });
      expect(read[0]!.labels.mask).toEqual(first.stored.labels.mask);
      expect([...again.keys()]).toEqual([first.key, second.key].sort());
      expect(again.count).toBe(2);
      await again.close();
    });
  });

  it('knows what it does not have', async () => {
    await withStore(async (store) => {
      expect(store.has(first.key)).toBe(false);
      expect(store.read(first.key)).toBeUndefined();
      expect(store.summary(first.key)).toBeUndefined();
      expect(store.verify(first.key)).toMatch(/not stored/);
      expect(store.claimOf(first.key)).toBeUndefined();
      expect([...store.keys()]).toEqual([]);
      expect(store.count).toBe(0);
    });
  });

  it('gives arrays that stay as they are when something else is read', async () => {
    const other = sampleStoredLabels(7, { views: 3, height: 40, width: 30, grid: [9, 9, 64] });
    await withStore(async (store) => {
      for (const { key, stored } of [first, second, other]) await store.write(key, stored);
      const read = [first, second, other].map(({ key }) => store.read(key)!.labels);
      [first, second, other].forEach(({ stored }, i) => {
        expect(read[i]!.intrinsics).toEqual(stored.labels.intrinsics);
        expect(read[i]!.extrinsicsWorldToCamera).toEqual(stored.labels.extrinsicsWorldToCamera);
      });
    });
  });

  it('sums labels up without their arrays', async () => {
    await withStore(async (store) => {
      await store.write(first.key, first.stored);
      const { labels, ...rest } = first.stored;
      expect(store.summary(first.key)).toEqual({
        ...rest,
        key: first.key,
        conventions: labels.conventions,
        views: 2,
        height: 12,
        width: 16,
        fields: [
          { name: 'depth', dtype: 'F16', shape: [2, 12, 16] },
          { name: 'mask_bits', dtype: 'U8', shape: [2, 24] },
          { name: 'intrinsics', dtype: 'F32', shape: [2, 3, 3] },
          { name: 'extrinsics_world_to_camera', dtype: 'F32', shape: [2, 3, 4] },
          { name: 'depth_confidence', dtype: 'F16', shape: [2, 12, 16] },
          { name: 'features', dtype: 'F16', shape: [2, 2, 3, 8] },
        ],
        validShare: expect.closeTo(0.9, 1),
        bytes: expect.any(Number),
      });
    });
  });

  it('replaces and removes', async () => {
    await withStore(async (store) => {
      await store.write(first.key, first.stored);
      await store.write(first.key, { ...first.stored, createdAt: '2027-01-01T00:00:00Z' });
      expect(store.read(first.key)!.createdAt).toBe('2027-01-01T00:00:00Z');
      expect(store.count).toBe(1);
      expect(await store.remove(first.key)).toBe(true);
      expect(await store.remove(first.key)).toBe(false);
      expect(store.has(first.key)).toBe(false);
    });
  });

  it('lists more keys than it reads at once', async () => {
    const keys = Array.from({ length: 1003 }, (_, i) => i.toString(16).padStart(64, '0'));
    const tiny = sampleStoredLabels(5, { views: 1, height: 2, width: 2, grid: [1, 1, 1] }).stored;
    const whole = { ...tiny, labels: { ...tiny.labels, mask: Uint8Array.of(1, 1, 1, 1) } };
    await withStore(async (store) => {
      await Promise.all(keys.map((key) => store.write(key, whole)));
      expect([...store.keys()]).toEqual(keys);
    });
  });

  it('grows by itself', async () => {
    const large = sampleStoredLabels(6, {
      views: 4,
      height: 56,
      width: 56,
      grid: [16, 16, 768],
    }).stored;
    await withStore(async (store) => {
      for (const digit of '0123456789') await store.write(digit.repeat(64), large);
      expect([...store.keys()].map((key) => store.verify(key)).filter(Boolean)).toEqual([]);
    });
  });

  it('stores nothing that is refused', async () => {
    await withStore(async (store) => {
      const mask = first.stored.labels.mask.map(() => 0);
      const masked = { ...first.stored, labels: { ...first.stored.labels, mask } };
      await expect(store.write(first.key, masked)).rejects.toEqual(invalid(/valid pixels/));
      await expect(store.write('a key', first.stored)).rejects.toEqual(invalid(/a key/, 'USAGE'));
      expect(store.count).toBe(0);
    });
  });
});

describe('a damaged store', () => {
  /** Changes one byte of the file after the place where `text` stands for the last time. */
  const damage = async (folder: string, text: string | Uint8Array, offset: number) => {
    const file = path.join(folder, 'data.mdb');
    const bytes = await readFile(file);
    const at = bytes.lastIndexOf(text);
    expect(at).toBeGreaterThan(0);
    bytes[at + offset]! ^= 4;
    await writeFile(file, bytes);
  };

  const expectDamaged = async (text: string | Uint8Array, offset: number, problem: RegExp) => {
    await withTemporaryFolder(async (folder) => {
      const store = await LabelStore.open(folder);
      for (const { key, stored } of [first, second]) await store.write(key, stored);
      await store.close();
      await damage(folder, text, offset);
      const again = await LabelStore.open(folder);
      expect(again.verify(first.key)).toMatch(problem);
      expect(again.verify(second.key)).toBeUndefined();
      await again.write(first.key, first.stored);
      expect(again.verify(first.key)).toBeUndefined();
      await again.close();
    });
  };

  const depths = first.stored.labels.depthConfidence!;

  it('is found by the checksum when a value changed', async () => {
    const { encodeFloat16 } = jest.requireActual<typeof import('../safetensors/dtypes.js')>(
      '../safetensors/dtypes.js',
    );
    const some = new Uint8Array(encodeFloat16(depths).buffer).subarray(0, 64);
    await expectDamaged(some, 21, /CRC-32/);
  });

  it('is found when the record cannot be read', async () => {
    await expectDamaged(
      `${first.stored.images[0]!.sha256}","width":640`,
      66,
      /record .* cannot be read/,
    );
  });
});

describe('opening', () => {
  const refusedWith = async (folder: string, expected: unknown, readOnly = false) =>
    expect(await LabelStore.open(folder, { readOnly }).catch((error: unknown) => error)).toEqual(
      expected,
    );

  it('to read needs a store', async () => {
    await withTemporaryFolder(async (folder) => {
      await refusedWith(path.join(folder, 'none'), invalid(/found nothing/, 'FILE_MISSING'), true);
      await refusedWith(folder, invalid(/no labels/, 'FILE_MISSING'), true);
      expect(await readdir(folder)).toEqual([]);
    });
  });

  it('refuses a file, and a folder of something else, and leaves them alone', async () => {
    await withTemporaryFolder(async (folder) => {
      const file = path.join(folder, 'notes.txt');
      await writeFile(file, 'mine');
      await refusedWith(file, invalid(/found a file/));
      await refusedWith(folder, invalid(/notes\.txt/));
      expect(await readdir(folder)).toEqual(['notes.txt']);
    });
  });

  it('refuses a file of that name that is not LMDB, or cut off', async () => {
    await withTemporaryFolder(async (folder) => {
      for (const content of [Buffer.alloc(8192, 1), Buffer.alloc(100, 1)]) {
        await writeFile(path.join(folder, 'data.mdb'), content);
        await refusedWith(folder, invalid(/not an LMDB file/));
      }
    });
  });

  it('refuses an LMDB file of something else', async () => {
    await withTemporaryFolder(async (folder) => {
      const other = openLmdb({ path: folder, noSubdir: false });
      await other.put('mine', 1);
      await other.close();
      await refusedWith(folder, invalid(/something else/));
      await refusedWith(folder, invalid(/something else/), true);
    });
  });

  it('refuses another version', async () => {
    await withTemporaryFolder(async (folder) => {
      const other = openLmdb({ path: folder, noSubdir: false, encoding: 'string' });
      await other.put('spatialsv-labels', '{"version":2}');
      await other.close();
      await refusedWith(folder, invalid(/version 2, expected 1/));
    });
  });

  it('finishes a store whose making was stopped half-way', async () => {
    await withTemporaryFolder(async (folder) => {
      const begun = openLmdb({ path: folder, noSubdir: false, encoding: 'string' });
      await begun.put('spatialsv-labels', '{"version":1}');
      await begun.close();
      await refusedWith(folder, invalid(/never written/, 'FILE_MISSING'), true);
      const store = await LabelStore.open(folder);
      await store.write(first.key, first.stored);
      expect(store.verify(first.key)).toBeUndefined();
      await store.close();
    });
  });

  it('by several at once makes one store', async () => {
    await withTemporaryFolder(async (parent) => {
      const folder = path.join(parent, 'store');
      const stores = await Promise.all([1, 2, 3].map(() => LabelStore.open(folder)));
      await stores[0]!.write(first.key, first.stored);
      expect(stores.map((store) => store.has(first.key))).toEqual([true, true, true]);
      for (const store of stores) await store.close();
    });
  });

  it('to read does not allow to write', async () => {
    await withStore(async (store, folder) => {
      await store.write(first.key, first.stored);
      const reader = await LabelStore.open(folder, { readOnly: true });
      const usage = invalid(/opened to read/, 'USAGE');
      await expect(reader.write(second.key, second.stored)).rejects.toEqual(usage);
      await expect(reader.remove(first.key)).rejects.toEqual(usage);
      await expect(reader.claim(second.key, createProcessOwner())).rejects.toEqual(usage);
      await store.write(second.key, second.stored);
      expect(reader.verify(second.key)).toBeUndefined();
      await reader.close();
    });
  });

  it('to write is refused while the same process reads', async () => {
    await withStore(async (store, folder) => {
      await store.close();
      const reader = await LabelStore.open(folder, { readOnly: true });
      await refusedWith(folder, invalid(/open to read/));
      expect(reader.count).toBe(0);
      await reader.close();
      const writer = await LabelStore.open(folder);
      await writer.write(first.key, first.stored);
      await writer.close();
    });
  });

  it('again while the last one closes waits for it', async () => {
    await withStore(async (store, folder) => {
      const written = store.write(first.key, first.stored);
      const claimed = store.claim(second.key, createProcessOwner());
      const [, again] = await Promise.all([store.close(), LabelStore.open(folder)]);
      await Promise.all([written, claimed]);
      expect(again.verify(first.key)).toBeUndefined();
      await again.close();
    });
  });

  it('says so when the file is a folder', async () => {
    await withTemporaryFolder(async (folder) => {
      await mkdir(path.join(folder, 'data.mdb'));
      await refusedWith(folder, invalid(/directory/));
    });
  });
});

describe('storeError', () => {
  it.each([
    ['EACCES: permission denied, mkdir', /no permission/],
    ['Permission denied', /no permission/],
    ['Read-only file system', /no permission/],
    ['No space left on device', /disk is full/],
    ['Disk quota exceeded', /disk is full/],
    ['MDB_MAP_FULL: Environment mapsize limit reached', /mapped into memory/],
    ['Cannot allocate memory', /mapped into memory/],
    ['MDB_INVALID: File is not an LMDB file', /not an LMDB file/],
    ['something new', /something new/],
  ])('says what "%s" means', (message, expected) => {
    expect(storeError('here', new Error(message))).toEqual(invalid(expected));
  });
});

describe('claims', () => {
  const [me, other] = [createProcessOwner(), createProcessOwner()];

  it('are one at a time, renewed and given back by their owner only', async () => {
    await withStore(async (store) => {
      expect(await store.claim(first.key, me)).toBe(true);
      expect(await store.claim(first.key, me)).toBe(true);
      expect(await store.claim(first.key, other)).toBe(false);
      expect(store.claimOf(first.key)?.owner).toEqual(me);
      expect(await store.renew(first.key, me)).toBe(true);
      expect(await store.renew(first.key, other)).toBe(false);
      expect(await store.release(first.key, other)).toBe(false);
      expect(await store.release(first.key, me)).toBe(true);
      expect(await store.release(first.key, me)).toBe(false);
      expect(await store.claim(first.key, other)).toBe(true);
    });
  });

  it('are given to one of many that ask at once', async () => {
    await withStore(async (store) => {
      const owners = Array.from({ length: 20 }, createProcessOwner);
      const answers = await Promise.all(owners.map((owner) => store.claim(first.key, owner)));
      expect(answers.filter(Boolean)).toHaveLength(1);
    });
  });

  it('end with the lease', async () => {
    await withStore(async (store) => {
      expect(await store.claim(first.key, me, 1)).toBe(true);
      await new Promise((resolve) => setTimeout(resolve, 5));
      expect(store.claimOf(first.key)).toBeUndefined();
      expect(await store.claim(first.key, other)).toBe(true);
      expect(await store.renew(first.key, me)).toBe(false);
    });
  });

  it('end with a write, and are not given for what is stored', async () => {
    await withStore(async (store) => {
      expect(await store.claim(first.key, me)).toBe(true);
      await store.write(first.key, first.stored);
      expect(store.claimOf(first.key)).toBeUndefined();
      expect(await store.claim(first.key, me)).toBe(false);
    });
  });
});
