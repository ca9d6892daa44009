import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { FileMapping } from './file-mapping.js';

describe('a mapped file', () => {
  let folder: string;
  let mapping: FileMapping;
  beforeAll(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'mapping-'));
    const file = path.join(folder, 'weights.bin');
    writeFileSync(
      file,
      Uint8Array.from({ length: 100 }, (_, i) => i),
    );
    mapping = new FileMapping(file);
  });
  afterAll(() => {
    mapping.close();
    rmSync(folder, { recursive: true });
  });

  const isMapped = process.platform === 'linux' || process.platform === 'darwin';

  it('gives bytes in place where they lie on a multiple of their element, and a copy elsewhere', () => {
    const inPlace = mapping.bytes({ byteOffset: 8, byteLength: 8 }, 4);
    expect(typeof inPlace).toBe(isMapped ? 'bigint' : 'object');
    const copy = mapping.bytes({ byteOffset: 9, byteLength: 8 }, 4);
    expect(Array.from(copy as Uint8Array)).toEqual([9, 10, 11, 12, 13, 14, 15, 16]);
    const halves = mapping.bytes({ byteOffset: 10, byteLength: 2 }, 2);
    expect(typeof halves).toBe(typeof inPlace);
  });

  it('is read where the system maps no such file', () => {
    // Files of the kernel have a size, and cannot be mapped.
    const file = '/sys/devices/system/cpu/online';
    if (!existsSync(file)) {
      console.warn('Skipped: only Linux has files that cannot be mapped.');
      return;
    }
    const read = new FileMapping(file);
    const first = read.bytes({ byteOffset: 0, byteLength: 1 }, 1);
    expect(first).toEqual(new Uint8Array(readFileSync(file).subarray(0, 1)));
    read.evict({ byteOffset: 0, byteLength: 1 });
    read.close();
  });

  it('says where it ends, and when it is closed', () => {
    expect(() => mapping.bytes({ byteOffset: 96, byteLength: 5 }, 4)).toThrow(/101 bytes.*100/);
    const closed = new FileMapping(mapping.file);
    closed.close();
    closed.close();
    expect(() => closed.bytes({ byteOffset: 0, byteLength: 4 }, 4)).toThrow(/closed/);
  });
});
