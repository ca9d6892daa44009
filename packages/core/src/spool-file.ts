import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** Bytes on the disk, in the folder for temporary files, that this process alone reads again. */
export class SpoolFile {
  readonly #handle: FileHandle;
  readonly #remove: () => Promise<void>;
  #end = 0;

  private constructor(handle: FileHandle, remove: () => Promise<void>) {
    this.#handle = handle;
    this.#remove = remove;
  }

  /** The file has no name any more once it is open, so that nothing is left of it however the process ends. */
  static async open(): Promise<SpoolFile> {
    const folder = await mkdtemp(path.join(tmpdir(), 'spatialsv-spool-'));
    const handle = await open(path.join(folder, 'bytes'), 'w+');
    const remove = () => rm(folder, { recursive: true, force: true });
    // Windows keeps the name of an open file.
    if (process.platform !== 'win32') await remove();
    return new SpoolFile(handle, remove);
  }

  /** @returns where the bytes begin. */
  async append(bytes: Uint8Array): Promise<number> {
    const start = this.#end;
    this.#end += bytes.length;
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.#handle.write(
        bytes,
        done,
        bytes.length - done,
        start + done,
      );
      done += bytesWritten;
    }
    return start;
  }

  async read(start: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    await this.#handle.read(bytes, 0, length, start);
    return bytes;
  }

  async close(): Promise<void> {
    await this.#handle.close();
    await this.#remove();
  }
}
