import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { hashFile, hashFiles, hashWeights } from './hash-files.js';
import { withTemporaryFolder } from './testing/temporary-folder.js';

/** Of `abc`. */
const ABC = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
/** What `sha256sum a.bin b.bin | sha256sum` prints where both hold `abc`. */
const BOTH = '05b03ceea86edda32fc202a830ad1412c3629cc3a645f25eed1aacb747d0c373';

describe('hashes of files', () => {
  it('are the SHA-256 of the content, whatever a file is called', () =>
    withTemporaryFolder(async (folder) => {
      const [a, b] = ['a.bin', 'b.bin'].map((name) => path.join(folder, name)) as [string, string];
      for (const file of [a, b]) await writeFile(file, 'abc');
      expect(await Promise.all([a, b].map(hashFile))).toEqual([ABC, ABC]);
      expect(await hashFiles([{ name: 'anything', path: a }])).toBe(ABC);
    }));

  it('are the same for a file that is read in several pieces', () =>
    withTemporaryFolder(async (folder) => {
      const file = path.join(folder, 'large.bin');
      const content = Buffer.alloc((1 << 22) + 3, 'abcdefg');
      await writeFile(file, content);
      expect(await hashFile(file)).toBe(createHash('sha256').update(content).digest('hex'));
    }));

  it('are one for several files, as sha256sum makes it of their list', () =>
    withTemporaryFolder(async (folder) => {
      const [a, b] = ['a.bin', 'b.bin'].map((name) => path.join(folder, name)) as [string, string];
      for (const file of [a, b]) await writeFile(file, 'abc');
      const files = [a, b].map((file) => ({ name: path.basename(file), path: file }));
      expect(await hashFiles(files)).toBe(BOTH);
      expect(
        await hashWeights({ second: { file: b }, first: { file: a }, third: { file: b } }),
      ).toBe(BOTH);
    }));

  it('say which file is missing', () =>
    expect(hashFile('/no/such/image.png')).rejects.toMatchObject({
      code: 'FILE_MISSING',
      message: expect.stringContaining('/no/such/image.png'),
    }));
});
