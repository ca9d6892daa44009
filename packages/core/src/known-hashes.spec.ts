import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { hashFile } from './hash-files.js';
import { KnownHashes } from './known-hashes.js';

let folder: string;
let image: string;
let read: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'known-hashes-'));
  image = join(folder, 'a.png');
  read = [];
  writeFileSync(image, 'first');
});
afterEach(() => rmSync(folder, { recursive: true }));

const open = (settledMs = 0) =>
  new KnownHashes({
    file: join(folder, 'cache', 'hashes.json'),
    temporary: join(folder, 'temporary'),
    settledMs,
    hash: (path) => {
      read.push(path);
      return hashFile(path);
    },
  });

describe('hashes of files', () => {
  it('are read once, by one process or several', async () => {
    const hashes = open();
    const first = await hashes.of(image);
    expect(first).toBe(await hashFile(image));
    expect(await hashes.of(image)).toBe(first);
    await hashes.keep();
    expect(await open().of(image)).toBe(first);
    expect(read).toEqual([image]);
  });

  it('are read again after a change that leaves size and time as they were', async () => {
    const hashes = open();
    const [time, size] = [1e9, statSync(image).size];
    utimesSync(image, time, time);
    await hashes.of(image);
    const changedNs = () => statSync(image, { bigint: true }).ctimeNs;
    const before = changedNs();
    // The clock of the disk may be coarse.
    while (changedNs() === before) {
      writeFileSync(image, 'other');
      utimesSync(image, time, time);
    }
    expect(statSync(image)).toMatchObject({ size, mtimeMs: 1000 * time });
    expect(await hashes.of(image)).toBe(await hashFile(image));
    expect(read).toEqual([image, image]);
  });

  it('are not trusted while a file may still be changing', async () => {
    const hashes = open(3600_000);
    await hashes.of(image);
    await hashes.of(image);
    expect(read).toHaveLength(2);
  });

  it('are not kept for later processes where files come and go', async () => {
    const passing = join(folder, 'temporary', 'c.png');
    mkdirSync(dirname(passing));
    writeFileSync(passing, 'third');
    const hashes = open();
    await Promise.all([passing, image].map(hashes.of));
    await hashes.keep();
    const file = join(folder, 'cache', 'hashes.json');
    expect(Object.keys(JSON.parse(readFileSync(file, 'utf8')).files)).toEqual([image]);
    expect(await hashes.of(passing)).toBe(await hashFile(passing));
    expect(read).toHaveLength(2);
  });

  it('keep what another process has found meanwhile, and pass over a broken file', async () => {
    const other = join(folder, 'b.png');
    writeFileSync(other, 'second');
    const [mine, yours] = [open(), open()];
    await Promise.all([mine.of(image), yours.of(other)]);
    await mine.keep();
    await yours.keep();
    const file = join(folder, 'cache', 'hashes.json');
    expect(Object.keys(JSON.parse(readFileSync(file, 'utf8')).files).sort()).toEqual([
      image,
      other,
    ]);
    writeFileSync(file, '{"version":1,"files":{"');
    expect(await open().of(image)).toBe(await hashFile(image));
    await expect(open().of(join(folder, 'none.png'))).rejects.toMatchObject({
      code: 'FILE_MISSING',
    });
  });
});
