import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  listIfThere,
  makeFolder,
  readLines,
  readTextIfThere,
  recoverFolders,
  removeFolderAtomic,
  removeTemporaries,
  writeFileAtomic,
  writeFolderAtomic,
} from './files.js';

/** Calls of the file system until the "crash", and what was asked of it. */
const disk = { callsLeft: Number.POSITIVE_INFINITY, calls: [] as string[] };

/** Every call after the crash fails too, as nothing more happens in a process that was killed. */
const mockCall = (name: string): void => {
  disk.calls.push(name);
  disk.callsLeft -= 1;
  if (disk.callsLeft < 0) throw Object.assign(new Error(`crashed before ${name}`), { code: 'EIO' });
};

jest.mock('node:fs/promises', () => {
  const real = jest.requireActual('node:fs/promises');
  const counted =
    (name: string) =>
    async (first: unknown, ...rest: unknown[]) => {
      mockCall(`${name} ${String(first).split('/').at(-1)}`);
      return real[name](first, ...rest);
    };
  const open = async (file: string, flags: string) => {
    mockCall(`open ${file.split('/').at(-1)}`);
    const handle = await real.open(file, flags);
    const sync = handle.sync.bind(handle);
    handle.sync = async () => {
      mockCall(`sync ${file.split('/').at(-1)}`);
      return sync();
    };
    return handle;
  };
  // A process that is killed while it removes a folder has removed a part of it.
  const rm = async (name: string, options: object) => {
    if (disk.callsLeft === 0) await real.rm(`${name}/a`, { force: true }).catch(() => undefined);
    return counted('rm')(name, options);
  };
  const names = ['rename', 'mkdir', 'readdir', 'readFile'];
  return { ...real, open, rm, ...Object.fromEntries(names.map((name) => [name, counted(name)])) };
});

const root = mkdtempSync(join(tmpdir(), 'files-'));
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(root, 'case-'));
  disk.callsLeft = Number.POSITIVE_INFINITY;
  disk.calls = [];
});
afterAll(() => rmSync(root, { recursive: true }));

/** Files of a folder by name. */
const contentOf = (name: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(name, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => [entry.name, readFileSync(join(entry.parentPath, entry.name), 'utf8')]),
  );

const fill = (text: string) => async (target: string) => {
  mkdirSync(join(target, 'inner'));
  writeFileSync(join(target, 'a'), text);
  writeFileSync(join(target, 'inner/b'), text);
};

/** Crashes `action` before each of its calls in turn; after every crash the folder is tidied and looked at. */
async function crashEverywhere(action: () => Promise<void>, check: () => void, reset: () => void) {
  for (let calls = 0; ; calls++) {
    reset();
    disk.callsLeft = calls;
    const crashed = await action().then(
      () => false,
      () => true,
    );
    disk.callsLeft = Number.POSITIVE_INFINITY;
    await recoverFolders(folder);
    check();
    if (!crashed) return calls;
  }
}

describe('writeFolderAtomic', () => {
  it('leaves the old or the whole new folder, wherever it is stopped', async () => {
    const target = join(folder, 'step-1');
    const [old, now] = ['old', 'new'].map((text) => ({ a: text, b: text }));
    const seen = new Set<string>();
    const calls = await crashEverywhere(
      () => writeFolderAtomic(target, fill('new')),
      () => {
        const content = contentOf(target);
        expect([old, now]).toContainEqual(content);
        seen.add(content['a']!);
        expect(readdirSync(folder)).toEqual(['step-1']);
      },
      () => {
        rmSync(target, { recursive: true, force: true });
        mkdirSync(target);
        writeFileSync(join(target, 'a'), 'old');
        writeFileSync(join(target, 'b'), 'old');
      },
    );
    expect(calls).toBeGreaterThan(10);
    expect([...seen].sort()).toEqual(['new', 'old']);
  });

  it('flushes every file and folder before it is renamed, and the rename before the old one goes', async () => {
    const target = join(folder, 'step-1');
    mkdirSync(target);
    await writeFolderAtomic(target, fill('new'));
    const at = (call: string) => disk.calls.lastIndexOf(call);
    const renamed = at('rename step-1.incomplete');
    for (const name of ['a', 'b', 'inner', 'step-1.incomplete']) {
      expect(at(`sync ${name}`)).toBeGreaterThan(0);
      expect(at(`sync ${name}`)).toBeLessThan(renamed);
    }
    const flushed = disk.calls.lastIndexOf(`sync ${folder.split('/').at(-1)}`);
    expect(flushed).toBeGreaterThan(renamed);
    expect(at('rm step-1.replaced')).toBeGreaterThan(flushed);
  });

  it('leaves nothing of a folder that could not be filled', async () => {
    const failure = new Error('disk full');
    const writing = writeFolderAtomic(join(folder, 'new'), async (target) => {
      await fill('half')(target);
      throw failure;
    });
    await expect(writing).rejects.toBe(failure);
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('removeFolderAtomic', () => {
  it('leaves the whole folder or nothing, wherever it is stopped', async () => {
    const target = join(folder, 'step-1');
    await crashEverywhere(
      () => removeFolderAtomic(target),
      () => {
        if (existsSync(target)) expect(contentOf(target)).toEqual({ a: 'x', b: 'x' });
        expect(readdirSync(folder).filter((name) => name !== 'step-1')).toEqual([]);
      },
      () => {
        rmSync(target, { recursive: true, force: true });
        mkdirSync(join(target, 'inner'), { recursive: true });
        writeFileSync(join(target, 'a'), 'x');
        writeFileSync(join(target, 'inner/b'), 'x');
      },
    );
  });
});

describe('recoverFolders', () => {
  it('removes what is not complete, brings back what was replaced, and leaves the rest', async () => {
    for (const name of ['a', 'a.replaced', 'b.replaced', 'c.incomplete', 'd.removed', 'notes'])
      mkdirSync(join(folder, name));
    writeFileSync(join(folder, '.metrics.jsonl.12.0123456789ab.tmp'), 'half');
    writeFileSync(join(folder, '.hidden'), 'mine');
    await recoverFolders(folder);
    expect(readdirSync(folder).sort()).toEqual(['.hidden', 'a', 'b', 'notes']);
  });
});

describe('removeTemporaries', () => {
  const HOUR_MS = 3600_000;

  it('removes what nobody has written for a while, and no other file', async () => {
    const [old, now] = ['.a.1.0123456789ab.tmp', '.b.2.0123456789ab.tmp'] as const;
    for (const name of [old, now, 'a']) writeFileSync(join(folder, name), '');
    for (const name of [old, 'a']) utimesSync(join(folder, name), 1, 1);
    await removeTemporaries(folder, HOUR_MS);
    expect(readdirSync(folder).sort()).toEqual([now, 'a']);
    await removeTemporaries(join(folder, 'no'), HOUR_MS);
  });
});

describe('writeFileAtomic', () => {
  it('leaves the old or the whole new file, wherever it is stopped', async () => {
    const file = join(folder, 'file');
    await crashEverywhere(
      () => writeFileAtomic(file, 'new'),
      () => expect(['old', 'new']).toContain(readFileSync(file, 'utf8')),
      () => writeFileSync(file, 'old'),
    );
    expect(readdirSync(folder)).toEqual(['file']);
  });

  it('writes pieces of any lengths in their order, the memory of which may be used again', async () => {
    const lengths = [1, 0, 300_000, 5, 262_144, 262_143, 1, 1, 600_000, 3];
    const whole = Uint8Array.from({ length: 1_700_000 }, (_, at) => (at * 7 + (at >> 8)) % 251);
    let end = 0;
    async function* pieces() {
      for (const length of lengths) {
        const piece = whole.slice(end, end + length);
        end += length;
        yield piece;
        piece.fill(0);
      }
    }
    const file = join(folder, 'pieces');
    await writeFileAtomic(file, pieces());
    expect(readFileSync(file).equals(whole.subarray(0, end))).toBe(true);
  });

  it('reports the failure itself, also when the temporary file cannot be removed', async () => {
    disk.callsLeft = 2; // open and flush, but neither rename nor rm.
    await expect(writeFileAtomic(join(folder, 'file'), 'x')).rejects.toThrow('before rename');
  });

  it('does not take a disk error for a folder that cannot be flushed', async () => {
    disk.callsLeft = 4;
    await expect(writeFileAtomic(join(folder, 'file'), 'x')).rejects.toThrow('before sync case-');
  });
});

describe('makeFolder', () => {
  it('makes the names of all new folders durable', async () => {
    await makeFolder(join(folder, 'x/y/z'));
    const name = folder.split('/').at(-1);
    for (const parent of ['y', 'x', name]) expect(disk.calls).toContain(`sync ${parent}`);
    disk.calls = [];
    await makeFolder(join(folder, 'x/y/z'));
    expect(disk.calls).toEqual(['mkdir z']);
  });
});

describe('what need not be there', () => {
  it('is nothing when it is absent, and an error when it cannot be read', async () => {
    expect(await readTextIfThere(join(folder, 'no/file'))).toBeUndefined();
    expect(await listIfThere(join(folder, 'no'))).toEqual([]);
    expect(await readLines(join(folder, 'no'))).toEqual([]);
    await expect(readTextIfThere(folder)).rejects.toMatchObject({ code: 'FILE_INVALID' });
    disk.callsLeft = 0;
    await expect(listIfThere(folder)).rejects.toMatchObject({ code: 'FILE_INVALID' });
  });

  it('reads the complete lines of a log', async () => {
    writeFileSync(join(folder, 'log'), '{"a":1}\n\n{"b":2}\n{"c"');
    expect(await readLines(join(folder, 'log'))).toEqual(['{"a":1}', '{"b":2}']);
  });
});
