import { SpoolFile } from '@spatialsv/core';
import { NumberList } from './number-list.js';

/** Bytes that are read at once: rows are often read one after the other. */
const READ = 1 << 16;

/** Bytes that are collected before they go to the disk; less never does. */
const BLOCK = 1 << 20;

/**
 * JSON values in the order in which they came, on the disk: in memory are 8 bytes for each, where it begins, and the last ones.
 */
export class RowStore<Row> {
  readonly #starts = new NumberList();
  readonly #block = Buffer.allocUnsafe(BLOCK);
  /** Bytes on the disk, and behind them in the block. */
  #stored = 0;
  #pending = 0;
  #file: SpoolFile | undefined;
  /** What was read last. */
  #read: { readonly start: number; readonly bytes: Uint8Array } = {
    start: 0,
    bytes: new Uint8Array(),
  };

  get length(): number {
    return this.#starts.length;
  }

  async push(row: Row): Promise<void> {
    const bytes = Buffer.from(JSON.stringify(row));
    this.#starts.push(this.#stored + this.#pending);
    if (this.#pending + bytes.length > BLOCK) await this.#flush();
    if (bytes.length > BLOCK) await this.#store(bytes);
    else this.#pending += bytes.copy(this.#block, this.#pending);
  }

  async at(index: number): Promise<Row> {
    const start = this.#starts.at(index);
    const end = index + 1 < this.length ? this.#starts.at(index + 1) : this.#stored + this.#pending;
    const bytes =
      start >= this.#stored
        ? this.#block.subarray(start - this.#stored, end - this.#stored)
        : await this.#fromDisk(start, end);
    return JSON.parse(new TextDecoder().decode(bytes)) as Row;
  }

  async #fromDisk(start: number, end: number): Promise<Uint8Array> {
    let read = this.#read;
    if (start < read.start || end > read.start + read.bytes.length) {
      const length = Math.max(end - start, Math.min(READ, this.#stored - start));
      read = { start, bytes: await this.#file!.read(start, length) };
      this.#read = read;
    }
    return read.bytes.subarray(start - read.start, end - read.start);
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
  }

  async #flush(): Promise<void> {
    const pending = this.#block.subarray(0, this.#pending);
    this.#pending = 0;
    await this.#store(pending);
  }

  async #store(bytes: Uint8Array): Promise<void> {
    this.#file ??= await SpoolFile.open();
    await this.#file.append(bytes);
    this.#stored += bytes.length;
  }
}
