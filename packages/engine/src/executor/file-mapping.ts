import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { EngineError } from '../errors.js';
import type { Pointer } from './api.js';
import { loadForeign } from './library.js';

const PROT_READ = 1;
const MAP_PRIVATE = 2;
const MAP_FAILED = 2n ** 64n - 1n;
const MADV_DONTNEED = 4;

interface SystemCalls {
  readonly map: (
    address: null,
    length: number,
    protection: number,
    flags: number,
    descriptor: number,
    offset: number,
  ) => Pointer;
  readonly unmap: (address: Pointer, length: number) => number;
  readonly advise: (address: Pointer, length: number, advice: number) => number;
}

let calls: SystemCalls | undefined;

/** Linux and macOS; elsewhere files are read. */
function systemCalls(): SystemCalls | undefined {
  if (process.platform !== 'linux' && process.platform !== 'darwin') return undefined;
  calls ??= loadSystemCalls();
  return calls;
}

function loadSystemCalls(): SystemCalls {
  const library = loadForeign(null);
  return {
    map: library.func('void *mmap(void *address, size_t length, int, int, int, int64_t offset)'),
    unmap: library.func('int munmap(void *address, size_t length)'),
    advise: library.func('int madvise(void *address, size_t length, int advice)'),
  };
}

/** A part of a file. */
export interface FileRange {
  readonly byteOffset: number;
  readonly byteLength: number;
}

/**
 * A file whose parts are read in place: mapped into memory read-only where the system allows it. Pages of it count as
 * resident only while they are in use, and belong to the system's cache.
 */
export class FileMapping {
  readonly file: string;
  readonly size: number;
  readonly #descriptor: number;
  #address: Pointer | undefined;
  #closed = false;

  /** @throws EngineError FILE_INVALID when the file cannot be opened. */
  constructor(file: string) {
    this.file = file;
    this.#descriptor = open(file);
    this.size = fstatSync(this.#descriptor).size;
    this.#address = this.size === 0 ? undefined : this.#map();
  }

  #map(): Pointer | undefined {
    const address = systemCalls()?.map(
      null,
      this.size,
      PROT_READ,
      MAP_PRIVATE,
      this.#descriptor,
      0,
    );
    // A limit of addresses, or a file system without mappings: its parts are read instead.
    return address === MAP_FAILED ? undefined : address;
  }

  /**
   * Bytes in place, or a copy of them where the file is not mapped or they do not lie on a multiple of `alignment`.
   * @throws EngineError FILE_INVALID when the file ends before them, or is closed.
   */
  bytes({ byteOffset, byteLength }: FileRange, alignment: number): Pointer | Uint8Array {
    if (this.#closed) throw invalid(`${this.file}: used after it was closed`);
    if (byteOffset + byteLength > this.size) throw this.#tooShort(byteOffset + byteLength);
    if (this.#address === undefined || byteOffset % alignment !== 0)
      return this.#read(byteOffset, byteLength);
    return this.#address + BigInt(byteOffset);
  }

  #read(byteOffset: number, byteLength: number): Uint8Array {
    const bytes = new Uint8Array(byteLength);
    for (let done = 0; done < byteLength; ) {
      const length = Math.min(byteLength - done, LARGEST_READ);
      const read = readSync(this.#descriptor, bytes, done, length, byteOffset + done);
      if (read === 0) throw this.#tooShort(byteOffset + byteLength);
      done += read;
    }
    return bytes;
  }

  /** Takes pages out of resident memory; they stay in the system's cache and come back when they are read. */
  evict({ byteOffset, byteLength }: FileRange): void {
    if (this.#address === undefined || byteLength === 0) return;
    const start = byteOffset - (byteOffset % PAGE_BYTES);
    const length = byteOffset + byteLength - start;
    systemCalls()!.advise(this.#address + BigInt(start), length, MADV_DONTNEED);
  }

  /** Nothing may read the bytes any more. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#address !== undefined) systemCalls()!.unmap(this.#address, this.size);
    this.#address = undefined;
    closeSync(this.#descriptor);
  }

  #tooShort(expected: number): EngineError {
    return invalid(`${this.file}: expected at least ${expected} bytes, found ${this.size}`);
  }
}

/** A multiple of every page size in use (4 KiB to 64 KiB): advice must begin at a page. */
const PAGE_BYTES = 65536;
/** Systems read at most about 2 GiB at once. */
const LARGEST_READ = 2 ** 30;

function open(file: string): number {
  try {
    return openSync(file, 'r');
  } catch (cause) {
    throw invalid((cause as Error).message, cause);
  }
}

const invalid = (message: string, cause?: unknown): EngineError =>
  new EngineError({
    code: 'FILE_INVALID',
    message: `weights: ${message}`,
    hint: 'The file was moved, shortened or downloaded in part: fetch it again and open the checkpoint anew.',
    cause,
  });
