import { close, open, read, write } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

/** Bytes on the disk, in the folder for temporary files, that this process alone reads again. */
export class SpoolFile {
  /** A number: what is open until the process ends must not be closed, with a warning, when an object is collected. */
  readonly #file: number;
  readonly #remove: () => Promise<void>;
  #end = 0;

  private constructor(file: number, remove: () => Promise<void>) {
    this.#file = file;
    this.#remove = remove;
  }

  /** The file has no name any more once it is open, so that nothing is left of it however the process ends. */
  static async open(): Promise<SpoolFile> {
    const folder = await mkdtemp(path.join(tmpdir(), 'spatialsv-spool-'));
    const file = await promisify(open)(path.join(folder, 'bytes'), 'w+');
    const remove = () => rm(folder, { recursive: true, force: true });
    // Windows keeps the name of an open file.
    if (process.platform !== 'win32') await remove();
    return new SpoolFile(file, remove);
  }

  /** @returns where the bytes begin. */
  async append(bytes: Uint8Array): Promise<number> {
    const start = this.#end;
    this.#end += bytes.length;
    for (let done = 0; done < bytes.length; ) {
      const left = bytes.length - done;
      const { bytesWritten } = await promisify(write)(this.#file, bytes, done, left, start + done);
      done += bytesWritten;
    }
    return start;
  }

  async read(start: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    await promisify(read)(this.#file, bytes, 0, length, start);
    return bytes;
  }

  async close(): Promise<void> {
    await promisify(close)(this.#file);
    await this.#remove();
  }
}
